"""The list of security requirements is whole, counts itself right, and names tests that exist."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d+\.\d+\.\d+) \| (met|n/a|deployment|open) \| (.+?) \| ?(.*?) ?\|$", PAGE, re.MULTILINE)


def test_each_requirement_stands_there_once_and_the_counts_are_right() -> None:
    assert len({number for number, *_rest in ROWS}) == len(ROWS) == 246
    counts = Counter(state for _number, state, *_rest in ROWS)
    told = [counts["met"], counts["n/a"], counts["deployment"], counts["open"]]
    sentence = re.search(r"\*\*(\d+) met\*\*, (\d+) not applicable, (\d+) the deployment's, \*\*(\d+) open\*\*", PAGE)
    assert sentence and [int(part) for part in sentence.groups()] == told


def test_what_is_met_names_tests_that_exist() -> None:
    for number, state, _how, shown in ROWS:
        tests = re.findall(r"`([\w/]+\.py)`", shown)
        assert bool(tests) == (state == "met"), number
        assert not [test for test in tests if not (ROOT / test).exists()], number
