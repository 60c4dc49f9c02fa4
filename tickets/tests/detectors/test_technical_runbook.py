"""Whatever a technical issue can say stands in its runbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from domventas.core import runbooks
from tickets.detectors import technical_issue

SOURCES = Path(technical_issue.__file__).parent
CHILDREN = sorted(
    {found for path in SOURCES.glob("*.py") for found in re.findall(r'"\w+", _\("([a-z ]+)"\)', path.read_text())}
)


def test_the_children_are_found_in_the_sources() -> None:
    assert {"statement missing", "late", "records in quarantine", "given up"} <= set(CHILDREN)


@pytest.mark.parametrize("child", CHILDREN)
def test_each_child_has_its_row(child: str) -> None:
    book = runbooks.runbook("technical_issue", address=str)
    rows = {at for block in book.blocks for at, _cells in block.rows}
    assert runbooks.anchor(child) in rows
