"""What comes to nothing is right, and a fee's tax goes with its fee: also where many deviate alike."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from domventas.core.times import Period
from finance.models import DeviationSum, Discrepancy, Receivable, RuleGap, SettlementLine
from finance.selectors.bridge import bridges
from finance.selectors.discrepancies import lines_of_group
from finance.selectors.receivables import roll_forward
from finance.services.proposals import propose
from finance.services.reconcile import reconcile
from finance.testing import account
from finance.tests.golden import NOW, article, dec, fee_rule, refunded, settled, sold, verdicts
from marketplaces.models import Account
from orders.models import Order, OrderLine

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}
SALE = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
BACK = {"item_price": "-41.85", "item_tax": "-7.95", "referral_fee": "8.89", "fulfillment_fee": "3.87"}

Rows = list[tuple[OrderLine | None, str, str, str]]


def booked(line: OrderLine, event: str = "sale", **amounts: str) -> Rows:
    """What a statement books for a line."""
    return [(line, event, kind, amount) for kind, amount in amounts.items()]


def causes() -> list[tuple[str, Decimal]]:
    """Open findings: cause and amount."""
    return list(Discrepancy.objects.filter(state="open").order_by("cause", "pk").values_list("cause", "amount"))


@pytest.mark.parametrize("amounts", [["0.00"], ["4.90", "-4.90"]])
@pytest.mark.parametrize("kind", ["shipping_price", "referral_fee_tax", "storage_fee"])
def test_what_nobody_expects_and_comes_to_nothing_is_right(amazon: Account, kind: str, amounts: list[str]) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article())
    settled(amazon, [*booked(line, **SALE), *((line, "sale", kind, amount) for amount in amounts)])
    reconcile(now=NOW)
    assert verdicts(line)[kind] == "reconciled"
    assert (causes(), RuleGap.objects.count()) == ([], 0)
    assert set(SettlementLine.objects.values_list("state", flat=True)) == {"reconciled"}


def test_money_for_what_is_not_shipped_yet_waits_and_is_no_missing_rule(amazon: Account) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article(), status="to_ship", shipped=0)
    settled(amazon, booked(line, **SALE))
    reconcile(now=NOW)
    assert set(verdicts(line).values()) == {"awaiting"}
    assert (causes(), RuleGap.objects.count()) == ([], 0)
    assert set(SettlementLine.objects.values_list("state", "cause")) == {("awaiting", "")}


def test_money_for_a_canceled_line_is_unexpected_until_it_was_given_back(amazon: Account) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article(), status="canceled", shipped=0)
    settled(amazon, booked(line, **SALE))
    reconcile(now=NOW)
    assert (causes(), RuleGap.objects.count()) == ([("unexpected", dec("37.04"))], 0)
    settled(amazon, booked(line, "refund", **BACK), ref="S2")
    reconcile(now=NOW)
    assert causes() == []
    assert {*verdicts(line).values(), *verdicts(line, "refund").values()} == {"reconciled"}


def test_a_run_of_wrong_fees_and_the_tax_on_them_is_one_finding(bunnings: Account) -> None:
    tools = article(category="tools")

    def charged(n: int, tax: str) -> OrderLine:
        line = sold(bunnings, f"W{n}", {"item_price": "100.00"}, at="bunnings.com.au", sku=tools, fulfillment="seller")
        fees = {"item_price": "100.00", "referral_fee": "-14.00", "referral_fee_tax": tax}
        settled(bunnings, booked(line, **fees), ref=f"S{n}")
        return line

    for n in range(19):
        charged(n, "-1.40")
    last = charged(19, "-1.20")
    reconcile(now=NOW)
    assert causes() == [("rate_changed", dec("-43.80"))]
    settled(bunnings, booked(last, referral_fee_tax="-0.20"), ref="S20")
    reconcile(now=NOW)
    assert causes() == [("rate_changed", dec("-44.00"))]
    found = Discrepancy.objects.get(state="open")
    assert found.note == "20"
    assert sum(row.difference or 0 for row in lines_of_group(found.group_key)) == found.amount
    assert propose(found.group_key).lines == 20
    assert reconcile(now=NOW, full=True).written == 0
    SettlementLine.objects.filter(settlement__settlement_ref="S0", kind="referral_fee").update(amount=-12, state="new")
    reconcile(now=NOW)
    assert {cause for cause, _amount in causes()} == {"fee_overcharged"}
    assert len(causes()) == 20
    assert reconcile(now=NOW, full=True).written == 0


def test_the_tax_on_other_fees_goes_with_the_one_that_deviates_most(bunnings: Account) -> None:
    fee_rule("bunnings.com.au", "payment_fee", rate=dec("0.02"))
    fee_rule("bunnings.com.au", "shipping_fee", basis="unit", fixed_amount=dec("1.00"))
    tools = article(category="tools")
    line = sold(bunnings, "W1", {"item_price": "100.00"}, at="bunnings.com.au", sku=tools, fulfillment="seller")
    fees = {"referral_fee": "-12.00", "referral_fee_tax": "-1.20", "payment_fee": "-4.00", "shipping_fee": "-0.50"}
    settled(bunnings, booked(line, item_price="100.00", other_fee_tax="-0.45", **fees))
    reconcile(now=NOW)
    assert causes() == [("fee_overcharged", dec("-2.15")), ("fee_undercharged", dec("0.50"))]


def test_orders_that_were_deleted_are_added_up_no_more_and_once_when_they_come_again(amazon: Account) -> None:
    def read_again() -> list[OrderLine]:
        return [sold(amazon, f"O-{n}", GOODS, sku=article()) for n in range(12)]

    cent_less = {**SALE, "item_tax": "7.94"}
    settled(amazon, [row for line in read_again() for row in booked(line, **cent_less)])
    more = [sold(amazon, f"P-{n}", GOODS, sku=article()) for n in range(9)]
    settled(amazon, [row for line in more for row in booked(line, **cent_less)], ref="S2")
    reconcile(now=NOW)
    assert causes() == [("rounding", dec("-0.21"))]
    Order.objects.filter(external_id__startswith="O-").delete()
    reconcile(now=NOW)
    assert causes() == []
    assert reconcile(now=NOW, full=True).written == 0
    Order.objects.filter(external_id__startswith="P-").delete()
    read_again()  # comes before anybody has looked
    reconcile(now=NOW)
    assert DeviationSum.objects.get().line_count == 12
    assert reconcile(now=NOW, full=True).written == 0


@pytest.mark.parametrize("status", ["to_ship", "canceled"])
@pytest.mark.parametrize("told", [False, True])
def test_money_given_back_of_what_was_not_shipped_is_in_the_balance(amazon: Account, status: str, told: bool) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article(), status=status, shipped=0)
    if told:
        refunded(line, {"item_price": "-41.85", "item_tax": "-7.95"})
    settled(amazon, booked(line, "refund", item_price="-41.85", item_tax="-7.95"))
    reconcile(now=NOW)
    (row,) = roll_forward(Period(date(2026, 9, 1), date(2026, 12, 1)), today=NOW.date())
    assert row.closing == row.proved == row.unexplained == dec("-49.80")
    assert bridges([row])[0].unexplained == 0
    assert causes() == ([("unexpected", dec("-49.80"))] if status == "canceled" else [])


def test_a_changed_rate_is_one_finding_also_where_money_has_no_cents(acting: Any) -> None:
    japan = account("amazon-jp", sites=["amazon.co.jp"])
    fee_rule("amazon.co.jp", category="home_kitchen", rate=dec("0.10"))
    for n in range(20):
        price = 1999 + 7 * n
        line = sold(japan, f"J{n}", {"item_price": f"{price}"}, at="amazon.co.jp", sku=article(), fulfillment="seller")
        fee = (dec("0.12") * price).quantize(Decimal(1))
        settled(japan, booked(line, item_price=f"{price}", referral_fee=f"-{fee}"), ref=f"S{n}")
    reconcile(now=NOW)
    assert [cause for cause, _amount in causes()] == ["rate_changed"]


def test_small_differences_in_money_without_a_rate_are_told_by_their_number_only(acting: Any) -> None:
    japan = account("amazon-jp", sites=["amazon.co.jp"])
    for n in range(7):  # a yen less each: seven yen are not seven euros
        line = sold(japan, f"J{n}", {"item_price": "2000"}, at="amazon.co.jp", sku=article(), fulfillment="seller")
        settled(japan, booked(line, item_price="1999"), ref=f"S{n}")
    reconcile(now=NOW)
    assert causes() == []
    assert DeviationSum.objects.get().difference == -7


def test_of_two_refunds_the_one_that_is_not_booked_yet_is_awaited(amazon: Account) -> None:
    two = {"item_price": "83.70", "item_tax": "15.90"}
    back = {"item_price": "-41.85", "item_tax": "-7.95", "referral_fee": "8.89", "refund_admin_fee": "-1.77"}
    line = sold(amazon, "O-1", two, sku=article(), quantity=2)
    settled(amazon, booked(line, **two, referral_fee="-17.78", fulfillment_fee="-7.74"))
    for ref in ("R1", "R2"):
        refunded(line, {"item_price": "-41.85", "item_tax": "-7.95"}, ref=ref)
    expected = {"R1": ("awaiting", dec("-42.68")), "R2": ("reconciled", None)}
    for ref, (verdict, awaited) in expected.items():
        head = settled(amazon, booked(line, "refund", **back), ref=f"S-{ref}")
        SettlementLine.objects.filter(settlement=head).update(refund_ref=ref)
        reconcile(now=NOW)
        assert (set(verdicts(line, "refund").values()), causes()) == ({verdict}, [])
        assert set(SettlementLine.objects.values_list("state", flat=True)) == {"reconciled"}
        owed = Receivable.objects.get()
        assert (owed.refunds, owed.awaited, owed.awaited_refunds) == (dec("-85.36"), awaited, awaited)
        (row,) = roll_forward(Period(date(2026, 9, 1), date(2026, 12, 1)), today=NOW.date())
        assert (row.closing, row.unexplained, bridges([row])[0].unexplained) == (row.proved, 0, 0)
        assert reconcile(now=NOW, full=True).written == 0
    SettlementLine.objects.filter(refund_ref="R2", kind="referral_fee").update(amount=5, state="new")
    reconcile(now=NOW)
    assert causes() == [("refund_fee_wrong", dec("-3.89"))]


def test_a_wrong_refund_is_found_although_another_is_to_come(amazon: Account) -> None:
    two = {"item_price": "83.70", "item_tax": "15.90"}
    line = sold(amazon, "O-1", two, sku=article(), quantity=2)
    for ref in ("R1", "R2"):
        refunded(line, {"item_price": "-41.85", "item_tax": "-7.95"}, ref=ref)
    back = {"item_price": "-41.85", "item_tax": "-7.95", "referral_fee": "5.00", "refund_admin_fee": "-1.77"}
    settled(amazon, booked(line, **two, referral_fee="-17.78", fulfillment_fee="-7.74"))
    head = settled(amazon, booked(line, "refund", **back), ref="S2")
    SettlementLine.objects.filter(settlement=head).update(refund_ref="R1")
    reconcile(now=NOW)
    assert [cause for cause, _amount in causes()] == ["refund_fee_wrong"]


def test_a_missing_rule_goes_with_the_order_that_asked_for_it(amazon: Account) -> None:
    line = sold(amazon, "O-1", {}, sku=article(), fulfillment="seller")
    settled(amazon, booked(line, storage_fee="-2.00"))
    reconcile(now=NOW)
    assert set(SettlementLine.objects.values_list("state", "cause")) == {("awaiting", "no_rule")}
    line.order.delete()
    reconcile(now=NOW)
    assert set(SettlementLine.objects.values_list("state", "cause")) == {("awaiting", "")}
    assert not RuleGap.objects.exists()
