"""Plug-ins are found by walking packages; whatever could go unnoticed stops the start-up."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from domventas.core.registry import Registry

_packages = count()


@dataclass(frozen=True)
class Check:
    code: str


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"plugins_{next(_packages)}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    return name


def write(package: str, path: str, text: str) -> None:
    file = Path(sys.path[0]) / package / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"from {__name__} import Check\n{text}")


def loaded(*packages: str, missing_ok: bool = False) -> Registry[Check]:
    registry = Registry(Check, packages, name_attribute="code", missing_ok=missing_ok)
    registry.load()
    return registry


def test_entries_of_all_packages_come_in_the_order_of_their_names(package: str) -> None:
    write(package, "zeta.py", "check = Check('a')")
    write(package, "alpha.py", "first, second = Check('c'), Check('b')")
    assert list(loaded(package)) == ["a", "b", "c"]


def test_folders_count_as_one_module_and_their_insides_as_none(package: str) -> None:
    write(package, "amazon/__init__.py", "check = Check('amazon')")
    write(package, "amazon/broken.py", "raise RuntimeError")
    write(package, "tests/__init__.py", "raise RuntimeError")
    write(package, "_shared.py", "raise RuntimeError")
    assert list(loaded(package)) == ["amazon"]


def test_two_entries_of_one_name_are_refused_with_both_places(package: str) -> None:
    write(package, "one.py", "check = Check('same')")
    write(package, "two.py", "check = Check('same')")
    with pytest.raises(ValueError, match=r"one and .*two both define 'same'"):
        loaded(package)


def test_a_neighbors_entry_may_be_imported_to_build_on(package: str) -> None:
    write(package, "one.py", "check = Check('one')")
    write(package, "two.py", f"from {package}.one import check as base\ncheck = Check('two')")
    assert list(loaded(package)) == ["one", "two"]


def test_a_module_without_an_entry_is_refused(package: str) -> None:
    write(package, "empty.py", "")
    with pytest.raises(ValueError, match="holds no Check"):
        loaded(package)


def test_a_missing_folder_is_allowed_only_where_said_and_a_broken_one_never(package: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        loaded(f"{package}.checks")
    assert loaded(f"{package}.checks", missing_ok=True) == {}
    write(package, "checks/__init__.py", "import there_is_no_such_module")
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        loaded(f"{package}.checks", missing_ok=True)


def test_loading_again_starts_anew(package: str) -> None:
    write(package, "one.py", "check = Check('one')")
    registry = loaded(package)
    registry["odd"] = Check("odd")
    registry.load()
    assert list(registry) == ["one"]
