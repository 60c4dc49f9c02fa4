"""Fault scenarios: a test names the one it plays and says what it did; `make faults` writes docs/faults.md.

    @pytest.mark.scenario("B1", "A worker is killed with -9 in the middle of a batch")
    def test_nothing_is_lost_with_a_killed_worker(record_fault: RecordFault) -> None:
        ...
        record_fault("100 kills of group, main process or child", lost=0, doubled=0, recovery="3.2 s")

The result is the test's own outcome and never claimed. Without `--faults` the rows are only printed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

ROOT = Path(__file__).resolve().parent
APPS = ("domventas", "marketplaces", "catalog", "orders", "finance", "tickets", "reports")
PAGE = "docs/faults.md"
HEAD = """<!-- Made by `make faults`; rows of tests that were not run are kept from the run before. -->

# Faults

Each row is a test that causes the fault for real: processes are killed, servers restarted, answers broken. *Lost* and
*doubled* are counted in rows the work had to leave behind, and must be 0; times are what this run took, on whatever
machine, and are never required.

| id | scenario | what was done | figures | result | run | test |
|---|---|---|---|---|---|---|
"""
RESULTS = {"passed": "holds", "failed": "**does not hold**", "skipped": "skipped"}


class RecordFault(Protocol):
    """What the fixture `record_fault` gives."""

    def __call__(self, done: str, **figures: object) -> None:
        """Say what was done to the system, and what was counted or measured."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault that some test plays: the test's name is its key."""

    id: str
    title: str
    test: str


def registered(root: Path = ROOT) -> list[Scenario]:
    """Every scenario that a test declares, read from the source, so that nothing has to run for it."""
    return [
        scenario
        for app in APPS
        for path in sorted((root / app).rglob("test_*.py"))
        for scenario in _scenarios(path, root)
    ]


def unnamed(root: Path = ROOT) -> list[str]:
    """Tests marked `fault` that name no scenario."""
    found: list[str] = []
    for path in (path for app in APPS for path in sorted((root / app).rglob("test_*.py"))):
        for test in _tests(path):
            marks = [ast.unparse(mark) for mark in test.decorator_list]
            if any("mark.fault" in mark for mark in marks) and not any("mark.scenario" in mark for mark in marks):
                found.append(f"{path.relative_to(root)}::{test.name}")
    return found


def _tests(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node


def _scenarios(path: Path, root: Path) -> Iterator[Scenario]:
    for test in _tests(path):
        for mark in test.decorator_list:
            if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == "scenario":
                number, title = (ast.literal_eval(word) for word in mark.args)
                yield Scenario(number, title, f"{path.relative_to(root)}::{test.name}")


def rows(page: Path) -> dict[str, str]:
    """The page's rows by the test they came from."""
    lines = page.read_text(encoding="utf-8").splitlines() if page.exists() else []
    return {found[1]: line for line in lines if (found := re.search(r"\| `(\S+::.+)` \|$", line))}


def write(page: Path, fresh: dict[str, str]) -> None:
    """Write the page: fresh rows win, others stay while their test still declares a scenario."""
    known = {scenario.test for scenario in registered()}
    kept = {key: line for key, line in {**rows(page), **fresh}.items() if key.partition("[")[0] in known}
    page.write_text(HEAD + "".join(f"{line}\n" for line in sorted(kept.values(), key=_natural)), encoding="utf-8")


def _natural(line: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", line)]


# ── pytest ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def pytest_addoption(parser: pytest.Parser) -> None:
    """`--faults PAGE`: where to write what the scenarios found."""
    parser.addoption("--faults", metavar="PAGE", help="write the fault scenarios' rows to this page")


def pytest_configure(config: pytest.Config) -> None:
    """One collector per session; under xdist the reports bring the rows to the controller."""
    text = "scenario(id, title): plays a fault that docs/faults.md tells of; make faults runs all, the suite the short"
    config.addinivalue_line("markers", text)
    config.pluginmanager.register(Collector(config), "fault collector")


@pytest.fixture
def record_fault(request: pytest.FixtureRequest) -> RecordFault:
    """Says what was done and what came of it; may be called while the test goes on, the last word counts."""
    if not request.node.get_closest_marker("scenario"):
        pytest.fail("record_fault needs @pytest.mark.scenario(id, title)")

    def record(done: str, **figures: object) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
        request.node.user_properties.append(("fault", [done, told]))

    return record


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Send the scenario's name with the report, so that a test that died early has its row too."""
    report = yield
    if mark := item.get_closest_marker("scenario"):
        report.user_properties.append(("scenario", list(mark.args)))
    return report


class Collector:
    """Gathers one row per scenario that ran."""

    def __init__(self, config: pytest.Config) -> None:
        self.page, self.fresh = config.getoption("--faults"), dict[str, str]()
        self.here = not hasattr(config, "workerinput")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A row for the call, or for the setup that failed or skipped it."""
        told = dict(report.user_properties)
        if "scenario" not in told or not (report.when == "call" or report.outcome != "passed"):
            return
        done, figures = told.get("fault", ["", ""])  # type: ignore[misc]  # pairs of JSON values
        if report.skipped and isinstance(report.longrepr, tuple):
            done = report.longrepr[2].removeprefix("Skipped: ")
        number, title = told["scenario"]  # type: ignore[misc]
        cells = [number, title, done, figures, RESULTS[report.outcome], f"{datetime.now(UTC):%Y-%m-%d}"]
        plain = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
        self.fresh[report.nodeid] = f"| {' | '.join(plain)} | `{report.nodeid}` |"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the rows; write the page if asked to."""
        for line in sorted(self.fresh.values(), key=_natural):
            terminalreporter.write_line(line.rpartition(" | `")[0].removeprefix("| "))
        if self.page and self.here:
            write(ROOT / self.page, self.fresh)


if __name__ == "__main__":  # after a merge conflict: both sides' rows, without the marks
    write(ROOT / PAGE, {})
