"""The quick way to read a line of a settlement file says what the slow one says, or leaves the line to it."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from marketplaces.connectors.amazon import settlement_file
from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.errors import Malformed
from marketplaces.records import SettlementLineRecord
from marketplaces.tests.connectors.amazon.test_settlement_file import SALE as COMMA
from marketplaces.tests.connectors.amazon.test_settlement_file import SUMMARY as COMMA_SUMMARY
from marketplaces.tests.connectors.amazon.test_settlement_file import V2, File, pointed

SUMMARY, SALE = pointed(COMMA_SUMMARY), pointed(COMMA)

#: Cells as they are, as they should not be, and as nobody expects them.
ODD = ("", " ", "x", " 1 ", "ä\u00a0", "٣", "0", "900", "eur", "EUR", "USD", "-1.50", "1,50", "1.5e3", "NaN", "+1.00")
WHEN = ("2026-10-20 09:00:00 UTC", "20.10.2026 09:00:00 UTC", "2026-10-20", "10/20/2026", "yesterday", " 2026-10-20 ")


def told(text: str) -> list[SettlementLineRecord] | str:
    """The lines, or why they are refused."""
    try:
        return list(parse_settlement(text.encode(), "x").lines or ())
    except Malformed as error:
        return error.message


def both(text: str) -> list[SettlementLineRecord] | str:
    """What both ways say."""
    quick = told(text)
    with patch.object(settlement_file._Usual, "of", return_value=None):
        assert told(text) == quick
    return quick


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from(V2), st.sampled_from(ODD + WHEN), max_size=4))
@example({})
@example({"total-amount": "5.00", "transaction-type": ""})
@example({"transaction-type": " ", "amount": "5.00"})
@example({"quantity-purchased": "٣"})
@example({"posted-date-time": "", "posted-date": "2026-10-20"})
def test_both_ways_say_the_same_of_any_cells(cells: dict[str, str]) -> None:
    both(File(rows=(SUMMARY, SALE, {**SALE, **cells}, SALE)).text())
    both(File(rows=(COMMA_SUMMARY, COMMA, {**COMMA, **cells})).text())


@pytest.mark.parametrize("missing", V2[6:])
def test_a_file_without_a_column_is_read_by_names(missing: str) -> None:
    both(File(names=[name for name in V2 if name != missing], rows=(SUMMARY, SALE)).text())


def test_nearly_all_lines_go_the_quick_way() -> None:
    with patch.object(settlement_file, "_line", side_effect=AssertionError("the slow way")):
        lines = told(File(rows=(SUMMARY, SALE, {**SALE, "quantity-purchased": ""})).text())
    assert len(lines) == 2
