"""Templates keep their remarks to themselves, and point nowhere but home."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from domventas.tests.test_house_sizes import APPS, ROOT, name_of

FOUND = sorted(
    [
        *(ROOT / "templates").rglob("*.html"),
        *(path for app in APPS for path in (ROOT / app).rglob("templates/**/*.html")),
    ]
)


@pytest.mark.parametrize("path", FOUND, ids=name_of)
def test_a_remark_ends_on_its_line_or_everybody_reads_it(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        assert line.count("{#") == line.count("#}"), f"line {number}: {{# … #}} does not span lines"


@pytest.mark.parametrize("path", FOUND, ids=name_of)
def test_a_template_loads_nothing_from_other_hosts(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text)
    assert not re.search(r"\|\s*safe\b", text), "escape, always"
