"""The page of faults names every scenario that a test plays; the recorder says what happened."""

from __future__ import annotations

from pathlib import Path

import pytest

import pytest_faults

pytest_plugins = ["pytester"]
ROOT = pytest_faults.ROOT


def test_the_page_names_every_scenario_and_no_other() -> None:
    told = {key.partition("[")[0]: line for key, line in pytest_faults.rows(ROOT / pytest_faults.PAGE).items()}
    declared = {scenario.test: scenario for scenario in pytest_faults.registered()}
    assert set(told) == set(declared), "run make faults"
    for test, line in told.items():
        assert line.startswith(f"| {declared[test].id} | {declared[test].title} |"), f"{test}: run make faults"


def test_a_long_fault_test_names_its_scenario() -> None:
    assert not pytest_faults.unnamed()


PLAY = """
import pytest

@pytest.mark.scenario("B2", "It holds")
def test_holds(record_fault):
    record_fault("one kill", lost=0, recovery="1.5 s")

@pytest.mark.scenario("B10", "It does not")
def test_falls(record_fault):
    record_fault("two | kills", lost=1)
    assert False

@pytest.mark.scenario("B9", "It cannot be tried here")
def test_skips(record_fault):
    pytest.skip("no mount here")

def test_of_something_else():
    pass
"""


def test_the_recorder_writes_what_each_test_came_to(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest_faults, "registered", lambda: [
        pytest_faults.Scenario(number, "", f"test_play.py::test_{name}")
        for number, name in (("B2", "holds"), ("B10", "falls"), ("B9", "skips"), ("B4", "kept"))
    ])  # fmt: skip
    page = tmp_path / "faults.md"
    page.write_text(
        "| B4 | Kept | x | y | holds | d | `test_play.py::test_kept[a b]` |\n| Z | Gone | `gone.py::test_gone` |\n"
    )
    pytester.makepyfile(test_play=PLAY)
    pytester.runpytest_inprocess(
        "-p", "no:django", "-p", "pytest_faults", "--rootdir", str(tmp_path), f"--faults={page}"
    )
    lines = [line for line in page.read_text().splitlines() if "::" in line]
    assert [line.split(" | ")[0] for line in lines] == ["| B2", "| B4", "| B9", "| B10"]
    assert "| one kill | lost 0, recovery 1.5 s | holds |" in lines[0]
    assert "| no mount here |  | skipped |" in lines[2]
    assert "two \\| kills | lost 1 | **does not hold** |" in lines[3]
