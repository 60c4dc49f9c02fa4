"""Amounts in another currency: by the day's rate, a recent one, a peg, or not at all."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from finance.models import ExchangeRate, ReferenceRate
from finance.selectors.rates import convert, rates_on
from finance.services.rates import BadRates, load_reference_rates, read_rates

pytestmark = pytest.mark.db

DAY = date(2026, 10, 5)
FILE = "day,currency,rate\n2026-10-02,USD,1.1000\n2026-10-05,AUD,1.6500\n2026-09-29,SEK,11.2\n"


@pytest.fixture
def rates(acting: Any) -> None:
    """Rates of a few days."""
    load_reference_rates(read_rates(FILE.splitlines(), source="bank"))


def test_an_amount_is_rounded_once_and_names_rate_day_and_source(rates: None) -> None:
    one = convert(Decimal("10.00"), "USD", "EUR", day=DAY)
    assert one is not None
    assert (one.amount, one.currency, one.day, one.source) == (Decimal("9.09"), "EUR", date(2026, 10, 2), "bank")
    cross = convert(Decimal("100.00"), "USD", "AUD", day=DAY)
    assert cross is not None and (cross.amount, cross.rate) == (Decimal("150.00"), Decimal("1.5"))


def test_a_rate_older_than_five_days_is_no_rate(rates: None) -> None:
    assert convert(Decimal("10.00"), "SEK", "EUR", day=date(2026, 10, 4)) is not None
    assert convert(Decimal("10.00"), "SEK", "EUR", day=date(2026, 10, 5)) is None


def test_a_rate_of_tomorrow_is_no_rate_today(rates: None) -> None:
    assert convert(Decimal("10.00"), "AUD", "EUR", day=date(2026, 10, 4)) is None


def test_dirhams_follow_the_dollar_and_say_so(rates: None) -> None:
    one = convert(Decimal("10.00"), "EUR", "AED", day=DAY)
    assert one is not None
    assert (one.amount, one.is_derived, one.source) == (Decimal("40.40"), True, "USD × 3.6725 (bank)")


def test_the_clients_own_rate_wins(rates: None) -> None:
    ExchangeRate.objects.create(currency="USD", day=DAY, rate=Decimal("1.25"), source="hedge")
    one = convert(Decimal("10.00"), "USD", "EUR", day=DAY)
    assert one is not None and (one.amount, one.source) == (Decimal("8.00"), "hedge")


def test_a_rate_for_one_purpose_serves_no_other(rates: None) -> None:
    assert convert(Decimal("10.00"), "USD", "EUR", day=DAY, purpose="oss") is None


def test_the_same_currency_needs_no_rate(acting: Any) -> None:
    one = convert(Decimal("10.005"), "USD", "USD", day=DAY)
    assert one is not None and (one.amount, one.rate) == (Decimal("10.01"), Decimal(1))


def test_one_book_serves_many_amounts(rates: None, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        book = rates_on(DAY)
        assert all(book.convert(Decimal(n), "USD", "EUR") for n in range(1, 50))


def test_the_same_file_again_changes_nothing(rates: None) -> None:
    rows = read_rates(FILE.splitlines(), source="bank")
    assert load_reference_rates(rows) == (0, 0)
    assert load_reference_rates(read_rates(FILE.splitlines(), source="other bank")) == (0, 3)


def test_the_central_banks_table_is_read_too(acting: Any) -> None:
    rows = read_rates(["Date,USD,TRY,", "2026-10-05,1.1,N/A,"], source="ECB")
    assert [(row.currency, row.rate) for row in rows] == [("USD", Decimal("1.1"))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2026-10-05,USD,n/a", "Row 2: 'n/a' is not an amount"),
        ("2026-10-05,USX,1.1", "Row 2: 'USX' is not a currency code."),
        ("5.10.2026,USD,1.1", "Row 2: Invalid isoformat"),
        ("2026-10-05,USD,0", "Row 2: USD: 0 is not a rate."),
    ],
)
def test_a_bad_rate_names_its_row(line: str, message: str) -> None:
    with pytest.raises(BadRates, match=message.replace(".", r"\.")):
        read_rates(["day,currency,rate", line], source="bank")


def test_the_command_loads_a_file(acting: Any, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(FILE)
    call_command("load_rates", str(file), source="bank")
    assert ReferenceRate.objects.count() == 3
    file.write_text("a,b\n")
    with pytest.raises(CommandError, match="the columns must be"):
        call_command("load_rates", str(file), source="bank")
