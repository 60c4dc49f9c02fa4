"""Golden orders: every figure was worked out by hand from the schedules, and must come out to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.fields.ranges import DateRange

from finance.models import ExpectedCharge, FeeRule, LineReconciliation, Receivable, RuleGap
from finance.services.reconcile import reconcile
from finance.testing import account
from finance.tests.golden import NOW, article, dec, expectations, fee_rule, refunded, rules, settled, sold
from marketplaces.models import Account

pytestmark = pytest.mark.db

SITES = ("amazon.de", "amazon.fr", "amazon.com", "bunnings.com.au")


@pytest.fixture
def accounts(acting: Any) -> Mapping[str, Account]:
    """One account per site, with its schedule."""
    for at in SITES:
        rules(at)
    return {at: account(f"acc-{n}", sites=[at]) for n, at in enumerate(SITES)}


GOLDEN: list[tuple[str, str, dict[str, Any], dict[str, str], dict[str, str], str]] = [
    # One piece: 15 % × 49.80 = 7.47 and 19 % of it 1.42; parcel 3.25 and 0.62.
    ("de one piece", "amazon.de", {}, {"item_price": "41.85", "item_tax": "7.95"},
     {"referral_fee": "-8.89", "fulfillment_fee": "-3.87"}, "37.04"),
    # Two pieces: 15 % × 99.60 = 14.94 and 2.84; parcels 6.50 and 1.24 (1.235).
    ("de two pieces", "amazon.de", {"quantity": 2}, {"item_price": "83.70", "item_tax": "15.90"},
     {"referral_fee": "-17.78", "fulfillment_fee": "-7.74"}, "74.08"),
    # Our discount lowers what the fee is taken of: 15 % × 44.82 = 6.72 and 1.28.
    ("de discount", "amazon.de", {},
     {"item_price": "41.85", "item_tax": "7.95", "seller_discount": "-4.19", "discount_tax": "-0.79"},
     {"referral_fee": "-8.00", "fulfillment_fee": "-3.87"}, "32.95"),
    # The buyer's shipping counts too: 15 % × 54.70 = 8.205, half up 8.21, and 1.56; nobody else packs it.
    ("de own shipping", "amazon.de", {"fulfillment": "seller"},
     {"item_price": "41.85", "item_tax": "7.95", "shipping_price": "4.12", "shipping_tax": "0.78"},
     {"referral_fee": "-9.77"}, "44.93"),
    # 12 % × 2.00 = 0.24 is less than the least fee of 0.30, and 0.06 on it.
    ("de least fee", "amazon.de", {"fulfillment": "seller", "category": "lighting"},
     {"item_price": "1.68", "item_tax": "0.32"}, {"referral_fee": "-0.36"}, "1.64"),
    # Heavier than 500 g: 4.05 and 0.77.
    ("de heavy", "amazon.de", {"weight_g": 501}, {"item_price": "41.85", "item_tax": "7.95"},
     {"referral_fee": "-8.89", "fulfillment_fee": "-4.82"}, "36.09"),
    # France: 20 % on the fees: 7.47 and 1.49; 3.93 and 0.79.
    ("fr one piece", "amazon.fr", {}, {"item_price": "41.50", "item_tax": "8.30"},
     {"referral_fee": "-8.96", "fulfillment_fee": "-4.72"}, "36.12"),
    # United States: 12 % × 39.99 without tax = 4.80; the marketplace keeps the buyer's tax.
    ("us tax kept", "amazon.com", {"category": "tools"}, {"item_price": "39.99", "item_tax": "2.80"},
     {"referral_fee": "-4.80", "fulfillment_fee": "-3.77", "withheld_tax": "-2.80"}, "31.42"),
    # 15 % × (24.99 + 5.99) = 4.647.
    ("us own shipping", "amazon.com", {"fulfillment": "seller"}, {"item_price": "24.99", "shipping_price": "5.99"},
     {"referral_fee": "-4.65"}, "26.33"),
    # Australia, tax inside the price: 12 % × 59.90 = 7.19, its tax 0.72 a line of its own.
    ("au one piece", "bunnings.com.au", {"category": "tools", "fulfillment": "seller"}, {"item_price": "59.90"},
     {"referral_fee": "-7.19", "referral_fee_tax": "-0.72"}, "51.99"),
    # 14 % × (49.80 + 9.90) = 8.358.
    ("au shipping", "bunnings.com.au", {"quantity": 2, "fulfillment": "seller"},
     {"item_price": "49.80", "shipping_price": "9.90"}, {"referral_fee": "-8.36", "referral_fee_tax": "-0.84"},
     "50.50"),
    # 12.5 % × 13.00 = 1.625, half up.
    ("au half up", "bunnings.com.au", {"category": "lighting", "fulfillment": "seller"}, {"item_price": "13.00"},
     {"referral_fee": "-1.63", "referral_fee_tax": "-0.16"}, "11.21"),
    # Two of three shipped: 12 % × 20.00.
    ("au two of three", "bunnings.com.au", {"category": "tools", "quantity": 3, "shipped": 2, "fulfillment": "seller"},
     {"item_price": "30.00"}, {"item_price": "20.00", "referral_fee": "-2.40", "referral_fee_tax": "-0.24"}, "17.36"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "how", "charges", "fees", "net"), GOLDEN, ids=[row[0] for row in GOLDEN])
def test_a_golden_sale_is_expected_to_the_cent(
    accounts: Mapping[str, Account],
    name: str,
    at: str,
    how: dict[str, Any],
    charges: dict[str, str],
    fees: dict[str, str],
    net: str,
) -> None:
    how = dict(how)
    sku = article(category=how.pop("category", "home_kitchen"), weight_g=how.pop("weight_g", 400))
    if "withheld_tax" in fees:
        other = sold(accounts[at], "O-0", charges, at=at, sku=sku, **how)
        settled(accounts[at], [(other, "sale", "withheld_tax", fees["withheld_tax"])])
    line = sold(accounts[at], "O-1", charges, at=at, sku=sku, **how)
    reconcile(now=NOW)
    assert expectations(line) == {kind: dec(amount) for kind, amount in {**charges, **fees}.items()}
    assert Receivable.objects.get(line=line).expected_net == dec(net)


REFUNDS: list[tuple[str, str, dict[str, Any], dict[str, str], dict[str, str], dict[str, str]]] = [
    # All of it: 7.47 and 1.42 back; a fifth of the fee, 1.49 and 0.28, is kept. The parcel is not given back.
    ("de whole", "amazon.de", {}, {"item_price": "41.85", "item_tax": "7.95"},
     {"item_price": "-41.85", "item_tax": "-7.95"}, {"referral_fee": "8.89", "refund_admin_fee": "-1.77"}),
    # One of two.
    ("de half", "amazon.de", {"quantity": 2}, {"item_price": "83.70", "item_tax": "15.90"},
     {"item_price": "-41.85", "item_tax": "-7.95"}, {"referral_fee": "8.89", "refund_admin_fee": "-1.77"}),
    # A fifth of 45.00 is more than 5.00: 5.00 and 0.95 are kept.
    ("de cap", "amazon.de", {}, {"item_price": "252.10", "item_tax": "47.90"},
     {"item_price": "-252.10", "item_tax": "-47.90"}, {"referral_fee": "53.55", "refund_admin_fee": "-5.95"}),
    ("fr whole", "amazon.fr", {}, {"item_price": "41.50", "item_tax": "8.30"},
     {"item_price": "-41.50", "item_tax": "-8.30"}, {"referral_fee": "8.96", "refund_admin_fee": "-1.79"}),
    ("us whole", "amazon.com", {"category": "tools"}, {"item_price": "39.99", "item_tax": "2.80"},
     {"item_price": "-39.99", "item_tax": "-2.80", "withheld_tax": "2.80"},
     {"referral_fee": "4.80", "refund_admin_fee": "-0.96"}),
    ("au whole", "bunnings.com.au", {"category": "tools", "fulfillment": "seller"}, {"item_price": "59.90"},
     {"item_price": "-59.90"}, {"referral_fee": "7.19", "referral_fee_tax": "0.72"}),
    ("au one of three", "bunnings.com.au", {"category": "tools", "quantity": 3, "fulfillment": "seller"},
     {"item_price": "30.00"}, {"item_price": "-10.00"}, {"referral_fee": "1.20", "referral_fee_tax": "0.12"}),
]  # fmt: skip


@pytest.mark.parametrize("told_by", ["order", "statement"])
@pytest.mark.parametrize(("name", "at", "how", "charges", "given", "fees"), REFUNDS, ids=[row[0] for row in REFUNDS])
def test_a_golden_refund_is_expected_to_the_cent(
    accounts: Mapping[str, Account],
    name: str,
    at: str,
    how: dict[str, Any],
    charges: dict[str, str],
    given: dict[str, str],
    fees: dict[str, str],
    told_by: str,
) -> None:
    how = dict(how)
    line = sold(accounts[at], "O-1", charges, at=at, sku=article(category=how.pop("category", "home_kitchen")), **how)
    if told_by == "order":
        refunded(line, {kind: amount for kind, amount in given.items() if kind != "withheld_tax"})
        kept = [(line, "refund", kind, amount) for kind, amount in given.items() if kind == "withheld_tax"]
        settled(accounts[at], kept)
    else:
        settled(accounts[at], [(line, "refund", kind, amount) for kind, amount in given.items()])
    reconcile(now=NOW)
    assert expectations(line, "refund") == {kind: dec(amount) for kind, amount in {**given, **fees}.items()}


def test_two_refunds_of_a_line_are_each_capped(accounts: Mapping[str, Account]) -> None:
    # 15 % × 300.00 = 45.00 back twice; each time 5.00 and 0.95 are kept.
    line = sold(accounts["amazon.de"], "O-1", {"item_price": "504.20", "item_tax": "95.80"}, sku=article(), quantity=2)
    for ref in ("R1", "R2"):
        refunded(line, {"item_price": "-252.10", "item_tax": "-47.90"}, ref=ref)
    reconcile(now=NOW)
    assert expectations(line, "refund")["refund_admin_fee"] == dec("-11.90")
    assert expectations(line, "refund")["referral_fee"] == dec("107.10")


def test_the_formula_says_how_a_fee_came_about(accounts: Mapping[str, Account]) -> None:
    line = sold(accounts["amazon.de"], "O-1", {"item_price": "41.85", "item_tax": "7.95"}, sku=article())
    reconcile(now=NOW)
    said = dict(ExpectedCharge.objects.filter(line=line).values_list("kind", "formula"))
    assert said["referral_fee"] == "15.00 % × 49.80 = 7.47 + 19.00 % = 8.89"
    assert said["fulfillment_fee"] == "1 × 3.25 = 3.25 + 19.00 % = 3.87"


def test_the_day_of_the_sale_decides_the_rule(accounts: Mapping[str, Account]) -> None:
    FeeRule.objects.filter(site="amazon.de", category="lighting").update(
        valid=DateRange(date(2025, 1, 1), date(2026, 10, 1))
    )
    fee_rule("amazon.de", category="lighting", rate=dec("0.10"), valid=DateRange(date(2026, 10, 1), None))
    sku = article(category="lighting")
    charges = {"item_price": "84.03", "item_tax": "15.97"}
    before = sold(accounts["amazon.de"], "O-1", charges, sku=sku, on=date(2026, 9, 30), fulfillment="seller")
    after = sold(accounts["amazon.de"], "O-2", charges, sku=sku, on=date(2026, 10, 1), fulfillment="seller")
    reconcile(now=NOW)
    # 12 % of 100.00 and 2.28; 10 % and 1.90.
    assert expectations(before)["referral_fee"] == dec("-14.28")
    assert expectations(after)["referral_fee"] == dec("-11.90")


def test_canceled_lines_are_not_expected(accounts: Mapping[str, Account]) -> None:
    line = sold(accounts["amazon.de"], "O-1", {"item_price": "41.85"}, sku=article(), status="canceled", shipped=0)
    reconcile(now=NOW)
    assert expectations(line) == {}
    assert not Receivable.objects.exists()


def test_a_missing_rule_is_a_gap_with_the_money_it_blocks_and_no_finding(accounts: Mapping[str, Account]) -> None:
    line = sold(
        accounts["amazon.de"], "O-1", {"item_price": "41.85", "item_tax": "7.95"}, sku=article(category="garden"),
        fulfillment="seller",
    )  # fmt: skip
    settled(accounts["amazon.de"], [
        (line, "sale", "item_price", "41.85"), (line, "sale", "item_tax", "7.95"),
        (line, "sale", "referral_fee", "-11.11"),
    ])  # fmt: skip
    reconcile(now=NOW)
    assert expectations(line)["referral_fee"] is None
    judged = LineReconciliation.objects.get(line=line, kind="referral_fee")
    assert (judged.verdict, judged.cause, judged.difference) == ("no_rule", "", None)
    gap = RuleGap.objects.get()
    assert (gap.site, gap.kind, gap.category, gap.line_count, gap.blocked_amount) == (
        "amazon.de", "referral_fee", "garden", 1, dec("11.11"),
    )  # fmt: skip
    assert Receivable.objects.get().state == "paid"
    fee_rule("amazon.de", category="garden", rate=dec("0.15"))
    reconcile(now=NOW)
    assert not RuleGap.objects.exists()
    assert LineReconciliation.objects.get(line=line, kind="referral_fee").cause == "fee_overcharged"


def test_an_unknown_weight_leaves_only_the_parcel_unjudged(accounts: Mapping[str, Account]) -> None:
    line = sold(accounts["amazon.de"], "O-1", {"item_price": "41.85", "item_tax": "7.95"}, sku=article(weight_g=None))
    reconcile(now=NOW)
    assert expectations(line)["fulfillment_fee"] is None
    assert expectations(line)["referral_fee"] == Decimal("-8.89")
