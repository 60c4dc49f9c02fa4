"""What the documentation tells people to type exists, and the locks belong to what they were made from."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
PAPERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LOCKS = sorted(ROOT.glob("requirements*.txt"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def typed(path: Path, command: str) -> set[str]:
    """The words that follow the command where the paper shows code."""
    text = path.read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    return set(re.findall(rf"(?<![\w./-]){command} +([a-z][\w-]*)", code))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", PAPERS, ids=name_of)
def test_every_command_a_paper_shows_exists(path: Path) -> None:
    assert typed(path, "make") <= targets()
    assert typed(path, r"(?:python3? +)?manage\.py") <= set(get_commands())


def test_the_papers_show_the_commands_of_daily_work() -> None:
    """Also proves that the walk above finds commands at all."""
    shown = set().union(*(typed(path, "make") for path in PAPERS))
    assert {"demo", "test", "check"} <= shown


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_a_lock_was_made_from_the_requirements_beside_it(lock: Path) -> None:
    made, stamp, *_ = lock.read_text(encoding="utf-8").splitlines()
    sources = re.findall(r"requirements[\w-]*\.in", made)
    assert lock.with_suffix(".in").name in sources
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in sources)).hexdigest()
    assert stamp.endswith(digest), f"{lock.name} is older than {', '.join(sources)}: run make lock"


@pytest.mark.parametrize("lock", LOCKS, ids=name_of)
def test_a_lock_names_the_hash_of_every_package(lock: Path) -> None:
    packages = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8"))[2:]
    assert packages and not [package.split()[0] for package in packages if "--hash=sha256:" not in package]
