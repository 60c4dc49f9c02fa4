"""Amounts: read without guessing, rounded once and half-up, split to the last cent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domventas.core import money
from domventas.core.money import Money, NotAnAmount, UnknownCurrency

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD", "TRY"])
AMOUNTS = st.decimals(min_value=-(10**12), max_value=10**12, places=6)
WEIGHTS = st.lists(st.decimals(min_value=0, max_value=10**6, places=4), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("text", "mark", "value"),
    [
        ("1.234,56", ",", "1234.56"),
        ("1,234.56", ".", "1234.56"),
        ("1234.56", ".", "1234.56"),
        ("1234567,8", ",", "1234567.8"),
        ("1 234,56", ",", "1234.56"),
        ("1\u202f234\u202f567,00", ",", "1234567.00"),
        ("1'234.50", ".", "1234.50"),
        ("-0,05", ",", "-0.05"),
        ("\u22125,00", ",", "-5.00"),
        ("5,00-", ",", "-5.00"),
        ("+7", ".", "7"),
        (",5", ",", "0.5"),
        (" 12 ", ".", "12"),
        ("0", ".", "0"),
    ],
)
def test_an_amount_is_read_in_the_stated_spelling(text: str, mark: money.Mark, value: str) -> None:
    assert money.decimal(text, decimal_mark=mark) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1.234,56", "."), ("1,234.56", ","), ("1,23", "."), ("1.2345", ","), ("12,34.5", "."),
        ("1,2345.00", "."), ("1.234.5", ","), ("1 2", "."), ("", "."), ("-", "."), (".", "."), ("NaN", "."),
        ("Infinity", "."), ("1e3", "."), ("0x10", "."), ("--5", "."), ("-5-", "."), ("5 EUR", "."),
        ("1,234,56", "."), ("\u0661\u0662", "."), ("1_000", "."),
    ],
)  # fmt: skip
def test_another_spelling_is_refused_and_never_becomes_zero(text: str, mark: money.Mark) -> None:
    with pytest.raises(NotAnAmount):
        money.decimal(text, decimal_mark=mark)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError):
        money.decimal(1.5, decimal_mark=".")  # type: ignore[arg-type]  # the point of the test


@given(AMOUNTS, st.sampled_from([".", ","]))
def test_what_we_write_with_separators_is_read_back(amount: Decimal, mark: money.Mark) -> None:
    text = f"{amount:,f}"
    if mark == ",":
        text = text.translate(str.maketrans(",.", ".,"))
    assert money.decimal(text, decimal_mark=mark) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        ("1.005", "EUR", "1.01"), ("2.675", "EUR", "2.68"), ("-1.005", "EUR", "-1.01"), ("1.0049999", "EUR", "1.00"),
        ("0.5", "JPY", "1"), ("1.0005", "KWD", "1.001"),
    ],
)  # fmt: skip
def test_rounding_is_half_up_in_the_currencys_own_unit(amount: str, currency: str, rounded: str) -> None:
    result = money.to_cents(Decimal(amount), currency)
    assert str(result) == rounded


@given(AMOUNTS, CURRENCIES)
def test_rounding_moves_an_amount_by_half_a_unit_at_most_and_only_once(amount: Decimal, currency: str) -> None:
    rounded = money.to_cents(amount, currency)
    assert abs(rounded - amount) * 2 <= money.quantum(currency)
    assert money.to_cents(rounded, currency) == rounded
    assert money.to_cents(-amount, currency) == -rounded


@given(AMOUNTS, WEIGHTS, CURRENCIES)
def test_a_split_loses_nothing_and_is_fair_to_one_unit(amount: Decimal, weights: list[Decimal], currency: str) -> None:
    amount = money.to_cents(amount, currency)
    parts = money.split(amount, weights, currency)
    assert sum(parts, Decimal(0)) == amount
    assert all(part == money.to_cents(part, currency) for part in parts)
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        exact = amount * weight / total if total else amount / len(weights)
        assert abs(part - exact) <= money.quantum(currency)


def test_what_is_left_goes_to_the_largest_remainder_then_to_the_first() -> None:
    third = [Decimal(1)] * 3
    assert money.split(Decimal("0.05"), third, "EUR") == [Decimal("0.02"), Decimal("0.02"), Decimal("0.01")]
    assert money.split(Decimal("-0.05"), third, "EUR") == [Decimal("-0.02"), Decimal("-0.02"), Decimal("-0.01")]
    assert money.split(Decimal("1.00"), [Decimal("0.335"), Decimal("0.665")], "EUR") == [
        Decimal("0.34"),
        Decimal("0.66"),
    ]


@pytest.mark.parametrize(
    ("amount", "weights", "error"),
    [
        (Decimal(1), [], ValueError), (Decimal(1), [Decimal(-1)], ValueError), (Decimal("0.001"), [1], ValueError),
        (Decimal(1), [0.5], TypeError), (1.0, [1], TypeError),
    ],
)  # fmt: skip
def test_a_split_that_cannot_be_exact_is_refused(
    amount: Decimal, weights: list[Decimal], error: type[Exception]
) -> None:
    with pytest.raises(error):
        money.split(amount, weights, "EUR")


def test_currencies_are_those_of_the_standard() -> None:
    units = {code: money.minor_unit(code) for code in ("EUR", "JPY", "KWD", "TRY", "AED", "ISK", "XOF", "BHD")}
    assert units == {"EUR": 2, "JPY": 0, "KWD": 3, "TRY": 2, "AED": 2, "ISK": 0, "XOF": 0, "BHD": 3}
    assert not money.is_currency("EU")
    with pytest.raises(UnknownCurrency):
        money.to_cents(Decimal(1), "???")


def test_money_does_not_mix() -> None:
    euro, lira = Money(Decimal("1.005"), "EUR"), Money(Decimal(1), "TRY")
    assert euro.rounded() == Money(Decimal("1.01"), "EUR")
    assert -(euro + euro) == Money(Decimal("-2.01"), "EUR")
    assert euro - euro < euro * 2
    for mix in (
        lambda: euro + lira,
        lambda: euro - lira,
        lambda: euro < lira,
        lambda: euro * 0.5,
        lambda: Money(1.0, "EUR"),
    ):  # type: ignore[operator,arg-type]  # the point of the test
        with pytest.raises(TypeError):
            mix()


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    assert money.total([Decimal(1), None]) is None
    assert money.total([Decimal(1), Decimal(2)]) == 3
    assert money.total([]) == 0
