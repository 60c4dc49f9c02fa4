"""Beauty is even: no module or function may grow out of the others, and every module says what it is for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("domventas", "marketplaces", "catalog", "orders", "finance", "tickets", "reports")
MODULE, TEST_MODULE, FUNCTION = 400, 500, 60


def modules() -> list[Path]:
    """Every Python file of the house but migrations."""
    found = [path for app in APPS for path in (ROOT / app).rglob("*.py")]
    found += [ROOT / name for name in ("manage.py", "devservers.py", "conftest.py")]
    found += [*ROOT.glob("pytest_*.py")]
    return sorted(path for path in found if "migrations" not in path.parts)


def is_test(path: Path) -> bool:
    return "tests" in path.parts or path.name.startswith(("test_", "conftest"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    limit = TEST_MODULE if is_test(path) else MODULE
    assert text.count("\n") <= limit, f"{name_of(path)} has more than {limit} lines"
    long = [
        f"{f.name} ({f.end_lineno - f.lineno + 1})"
        for f in functions(tree)
        if (f.end_lineno or 0) - f.lineno >= FUNCTION
    ]
    assert not long, f"{name_of(path)}: functions over {FUNCTION} lines: {', '.join(long)}"
    if text.strip():
        assert ast.get_docstring(tree), f"{name_of(path)} has no docstring"


MONEY = ("finance", "orders", "marketplaces/records.py", "domventas/core/money.py", "domventas/core/fields.py")


@pytest.mark.parametrize("path", [p for p in modules() if name_of(p).startswith(MONEY) and not is_test(p)], ids=name_of)
def test_no_float_near_money(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    fields = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "float" not in calls, f"{name_of(path)} makes floats"
    assert not {"FloatField"} & (names | fields), f"{name_of(path)} stores floats"


def test_services_never_read_the_clock() -> None:
    """A service is told the moment, so that it can be run for any."""
    forbidden = ("timezone.now(", "datetime.now(", "date.today(", "utcnow(")
    guilty = [
        f"{name_of(path)}: {word}"
        for path in modules()
        if "services" in path.parts and not is_test(path)
        for word in forbidden
        if word in path.read_text(encoding="utf-8")
    ]
    assert not guilty


def test_the_stylesheet_mirrors_by_itself() -> None:
    """Logical properties only: margin-inline-start, never margin-left."""
    text = (ROOT / "static/css/bo.css").read_text(encoding="utf-8")
    physical = (
        "margin-left",
        "margin-right",
        "padding-left",
        "padding-right",
        "text-align: left",
        "text-align: right",
        "float:",
    )
    assert not [word for word in physical if word in text]


def test_the_project_speaks_of_itself_alone() -> None:
    """Nothing in the repository points at papers a reader does not have."""
    words = ("../" + "shared/design", "../" + ".library")
    files = [*modules(), *ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("templates/**/*.html")]
    guilty = [name_of(path) for path in files for word in words if word in path.read_text(encoding="utf-8")]
    assert not guilty
