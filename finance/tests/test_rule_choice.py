"""Which rule judges a line: the nearest for its category, by the price of one piece, in the currency of the order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db.backends.postgresql.psycopg_any import DateRange, NumericRange

from finance.models import DeviationSum, Discrepancy, RefundRule, RuleGap, SettlementLine, Tolerance
from finance.services.reconcile import reconcile
from finance.testing import account
from finance.tests.golden import (
    ALWAYS,
    NOW,
    article,
    dec,
    expectations,
    fee_rule,
    refunded,
    rules,
    settled,
    sold,
    verdicts,
)
from marketplaces.models import Account
from orders.models import OrderCharge

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}


@pytest.fixture
def amazon(acting: Any) -> Account:
    """An Amazon account in Germany without any rule."""
    return account("amazon-eu", sites=["amazon.de"])


def test_the_rule_of_a_category_wins_over_the_one_for_all(amazon: Account) -> None:
    fee_rule("amazon.de", rate=dec("0.10"))
    fee_rule("amazon.de", rate=dec("0.15"), category="home_kitchen")
    line = sold(amazon, "O-1", GOODS, sku=article())
    other = sold(amazon, "O-2", GOODS, sku=article("G", category="garden"))
    reconcile(now=NOW)
    # 15 % and 10 % of 49.80, with 19 % tax
    assert (expectations(line)["referral_fee"], expectations(other)["referral_fee"]) == (dec("-8.89"), dec("-5.93"))


@pytest.mark.parametrize(
    ("charges", "quantity", "fee"),
    [
        ({"item_price": "9.99"}, 1, "-0.95"),  # 8 % of 9.99: 0.80
        ({"item_price": "10.01"}, 1, "-1.79"),  # 15 %: 1.50
        ({"item_price": "9.99", "shipping_price": "4.99"}, 1, "-1.43"),  # 8 % of 14.98: 1.20
        ({"item_price": "19.98"}, 2, "-1.90"),  # 8 % of two pieces of 9.99: 1.60
    ],
)
def test_a_band_asks_for_the_price_of_one_piece_without_its_shipping(
    amazon: Account, charges: dict[str, str], quantity: int, fee: str
) -> None:
    fee_rule("amazon.de", rate=dec("0.08"), price_band=NumericRange(None, Decimal("10.01")))
    fee_rule("amazon.de", rate=dec("0.15"), price_band=NumericRange(Decimal("10.01"), None))
    line = sold(amazon, "O-1", charges, sku=article(), quantity=quantity)
    reconcile(now=NOW)
    assert expectations(line)["referral_fee"] == dec(fee)


def test_a_rule_in_another_currency_is_no_rule(amazon: Account) -> None:
    fee_rule("amazon.de", rate=dec("0.15"), currency="SEK")
    line = sold(amazon, "O-1", GOODS, sku=article())
    reconcile(now=NOW)
    assert expectations(line)["referral_fee"] is None
    assert RuleGap.objects.get().kind == "referral_fee"


def test_a_charge_in_another_currency_than_the_order_is_not_added_up(amazon: Account) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article())
    OrderCharge.objects.create(line=line, kind="shipping_price", amount=dec("49.00"), currency="SEK")
    reconcile(now=NOW)
    assert expectations(line) == {"item_price": dec("41.85"), "item_tax": dec("7.95")}


def test_what_the_buyer_paid_past_the_settlement_is_no_part_of_what_was_paid(amazon: Account) -> None:
    rules("amazon.de")
    line = sold(amazon, "O-1", GOODS, sku=article())
    booked = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87", "transfer": "-49.80"}
    settled(amazon, [(line, "sale", kind, amount) for kind, amount in booked.items()])
    reconcile(now=NOW)
    assert set(verdicts(line)) == {"item_price", "item_tax", "referral_fee", "fulfillment_fee"}
    assert SettlementLine.objects.get(kind="transfer").state == "reconciled"
    assert not RuleGap.objects.exists()
    assert not Discrepancy.objects.exists()


RIGHT = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
TOO_DEAR = {**RIGHT, "referral_fee": "-9.84", "fulfillment_fee": "-4.82"}  # 0.95 each


@pytest.mark.parametrize(
    ("rows", "tolerated"),
    [
        ([{"kind": "fulfillment_fee", "absolute_amount": "0.95"}], ["fulfillment_fee"]),
        ([{"absolute_amount": "0.95"}, {"kind": "fulfillment_fee", "absolute_amount": "0.94"}], ["referral_fee"]),
        ([{"absolute_amount": "0", "share_of_fee": "0.11"}], ["referral_fee"]),  # 0.98 of 8.89, 0.43 of 3.87
        ([{"absolute_amount": "0.95", "valid": DateRange(date(2026, 9, 11), None)}], []),
        (
            [{"absolute_amount": "0.95", "valid": DateRange(None, date(2026, 9, 11))}],
            ["fulfillment_fee", "referral_fee"],
        ),
        ([{"absolute_amount": "0.95", "currency": "SEK"}], []),
        ([{"absolute_amount": "0.95", "site": "amazon.fr"}], []),
    ],
)
def test_a_difference_is_tolerated_by_the_row_of_its_kind_site_currency_and_day(
    amazon: Account, rows: list[dict[str, Any]], tolerated: list[str]
) -> None:
    rules("amazon.de")
    Tolerance.objects.all().delete()
    usual = {"site": "amazon.de", "currency": "EUR", "valid": ALWAYS, "source": "test"}
    for row in rows:
        Tolerance.objects.create(**{**usual, **row})
    line = sold(amazon, "O-1", GOODS, sku=article())
    settled(amazon, [(line, "sale", kind, amount) for kind, amount in TOO_DEAR.items()])
    reconcile(now=NOW)
    assert sorted(kind for kind, verdict in verdicts(line).items() if verdict == "tolerated") == tolerated


def test_two_equal_bookings_are_a_doubled_one_only_if_one_of_them_is_right(amazon: Account) -> None:
    rules("amazon.de")
    line = sold(amazon, "O-1", GOODS, sku=article())
    rows = [(line, "sale", kind, amount) for kind, amount in {**RIGHT, "item_price": "15.00"}.items()]
    settled(amazon, [*rows, rows[0]])
    reconcile(now=NOW)
    assert verdicts(line)["item_price"] == "discrepancy:price_differs"
    assert Discrepancy.objects.get().amount == dec("-11.85")


@pytest.mark.parametrize(("day", "back"), [(date(2026, 9, 30), dec("8.89")), (date(2026, 10, 1), None)])
def test_what_a_refund_gives_back_is_told_by_the_rule_of_its_own_day(
    amazon: Account, day: date, back: Decimal | None
) -> None:
    rules("amazon.de")
    change = date(2026, 10, 1)
    RefundRule.objects.filter(kind="referral_fee").update(valid=DateRange(None, change))
    RefundRule.objects.create(
        site="amazon.de", kind="referral_fee", share_returned=0, currency="EUR", source="test",
        valid=DateRange(change, None),
    )  # fmt: skip
    line = sold(amazon, "O-1", GOODS, sku=article())
    refunded(line, {"item_price": "-41.85", "item_tax": "-7.95"}, on=day)
    reconcile(now=NOW)
    assert expectations(line, "refund").get("referral_fee") == back


@pytest.mark.parametrize(("short", "found"), [("39.45", []), ("39.25", [dec("-5.20")])])  # twice 2.40 and twice 2.60
def test_few_tolerated_differences_are_a_finding_from_five_euros_on(
    amazon: Account, short: str, found: list[Decimal]
) -> None:
    rules("amazon.de")
    Tolerance.objects.update(absolute_amount=dec("3.00"))
    for n in range(2):
        line = sold(amazon, f"O-{n}", GOODS, sku=article())
        rows = {**RIGHT, "item_price": short}
        settled(amazon, [(line, "sale", kind, amount) for kind, amount in rows.items()], ref=f"S{n}")
    reconcile(now=NOW)
    assert list(Discrepancy.objects.values_list("amount", flat=True)) == found


def test_many_tolerated_differences_that_go_both_ways_are_no_finding(amazon: Account) -> None:
    rules("amazon.de")
    rows: list[Any] = []
    for n in range(41):
        line = sold(amazon, f"O-{n}", {"item_price": "41.85"}, sku=article(), fulfillment="seller")
        rows += [(line, "sale", "item_price", "41.84" if n < 31 else "41.86"), (line, "sale", "referral_fee", "-7.47")]
    settled(amazon, rows)
    reconcile(now=NOW)
    assert not Discrepancy.objects.exists()
    month = DeviationSum.objects.get()
    assert (month.line_count, month.signs) == (41, -21)
