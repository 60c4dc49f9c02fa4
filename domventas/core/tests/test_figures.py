"""Figures as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domventas.core.money import Money
from domventas.core.templatetags import figures

NOW = datetime(2026, 11, 21, 6, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (figures.money(Decimal("-27.63"), "EUR"), "−27.63\u202fEUR"),
        (figures.money(Decimal("1234.565"), "EUR"), "1,234.57\u202fEUR"),
        (figures.money(Decimal("1234.5"), "JPY"), "1,235\u202fJPY"),
        (figures.money(Money(Decimal(0), "KWD")), "0.000\u202fKWD"),
        (figures.money(None, "EUR"), "–"),
        (figures.money(Decimal("12.5000"), "<q>"), "12.5000\u202f<q>"),  # no currency of this world: nothing is rounded
        (figures.money("no amount", "EUR"), "–"),
        (figures.money_plain(Decimal("-0.004"), "EUR"), "0.00"),
        (figures.money_plain(Money(Decimal("-5"), "TRY")), "−5.00"),
        (figures.money_plain(None), "–"),
        (figures.whole(10880), "10,880"),
        (figures.whole(Decimal("-0.5")), "−1"),
        (figures.whole(Decimal("-0.4")), "0"),
        (figures.whole(None), "–"),
        (figures.share(Decimal("0.131")), "13.1\u202f%"),
        (figures.share(Decimal("0.9345"), 0), "93\u202f%"),
        (figures.share(1, 2), "100.00\u202f%"),
        (figures.share(None), "–"),
        (figures.delta(Decimal("0.082")), "+8.2\u202f%"),
        (figures.delta(Decimal("-0.035")), "−3.5\u202f%"),
        (figures.delta(0), "0.0\u202f%"),
        (figures.signed(Decimal("34.2"), "EUR"), "+34.20"),
        (figures.signed(-3), "−3"),
        (figures.signed(None), "–"),
    ],
)
def test_a_figure_is_written_with_true_minus_thin_space_and_a_dash_for_the_unknown(text: str, expected: str) -> None:
    assert text == expected


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (timedelta(seconds=59), "now"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=47), "47 h ago"),
        (timedelta(days=2), "2 days ago"),
        (-timedelta(hours=4), "in 4 h"),
    ],
)
def test_how_long_ago_is_said_shortly(since: timedelta, expected: str) -> None:
    assert figures.ago(NOW - since, NOW) == expected


def test_never_is_a_dash() -> None:
    assert figures.ago(None) == "–"


@pytest.mark.parametrize("filter_", [figures.money_plain, figures.whole, figures.share, figures.delta])
def test_no_figure_has_a_hyphen_for_a_minus(filter_: Any) -> None:
    assert filter_(Decimal("-1234567.891")).startswith("−1")
