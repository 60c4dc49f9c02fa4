"""Every deviation gets the cause it has, every line a state, and nothing is written twice."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.testing import statements
from finance.models import Discrepancy, LineReconciliation, SettlementLine
from finance.selectors.discrepancies import groups, lines_of_group
from finance.selectors.reconciliation import causes_of, line_beside, settled_share_by_value, states_of, totals
from finance.services.reconcile import reconcile
from finance.tests.golden import NOW, article, dec, fee_rule, settled, sold, tuples_written, verdicts
from marketplaces.models import Account
from orders.models import OrderLine

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}
RIGHT = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
BACK = {"item_price": "-41.85", "item_tax": "-7.95", "referral_fee": "8.89", "refund_admin_fee": "-1.77"}

Rows = list[tuple[OrderLine | None, str, str, str]]


def a_sale(of: Account, ref: str = "O-1", **how: Any) -> OrderLine:
    """One piece for 49.80, sold on 10 September."""
    return sold(of, ref, GOODS, sku=article(), **how)


def booked(line: OrderLine, *, event: str = "sale", rows: dict[str, str] = RIGHT, **changed: str) -> Rows:
    """What a statement books for a line, with some kinds changed or added."""
    return [(line, event, kind, amount) for kind, amount in {**rows, **changed}.items()]


def causes() -> list[tuple[str, str, Decimal]]:
    """Open findings: cause, line or settlement, amount."""
    rows = Discrepancy.objects.filter(state="open").order_by("cause", "line_ref")
    return [
        (row.cause, row.line_ref or (row.settlement.settlement_ref if row.settlement else ""), row.amount)
        for row in rows
    ]


def test_a_right_settlement_is_reconciled_and_finds_nothing(amazon: Account) -> None:
    line = a_sale(amazon)
    head = settled(amazon, [*booked(line), *booked(line, event="refund", rows=BACK)])
    reconcile(now=NOW)
    assert set(verdicts(line).values()) == set(verdicts(line, "refund").values()) == {"reconciled"}
    assert states_of(head)["reconciled"].lines == 8
    assert causes() == []
    assert totals().settled_share_by_value == 1


CASES: list[tuple[str, dict[str, str], dict[str, str], str, str, str]] = [
    ("fee above the rule", {"referral_fee": "-10.00"}, {}, "fee_overcharged", "referral_fee", "-1.11"),
    ("fee below the rule", {"referral_fee": "-5.00"}, {}, "fee_undercharged", "referral_fee", "3.89"),
    ("parcel above the rule", {"fulfillment_fee": "-4.82"}, {}, "fee_overcharged", "fulfillment_fee", "-0.95"),
    ("price below the order", {"item_price": "40.00"}, {}, "price_differs", "item_price", "-1.85"),
    ("tax missing", {"item_tax": ""}, {}, "part_missing", "item_tax", "-7.95"),
    ("fee not charged", {"referral_fee": ""}, {}, "fee_undercharged", "referral_fee", "8.89"),
    ("unheard of", {"unknown": "-2.50"}, {}, "unknown_kind", "unknown", "-2.50"),
    ("shipping nobody ordered", {"shipping_price": "4.90"}, {}, "unexpected", "shipping_price", "4.90"),
    ("refund gives too little back", {}, {"referral_fee": "5.00"}, "refund_fee_wrong", "referral_fee", "-3.89"),
    ("refund keeps too much", {}, {"refund_admin_fee": "-4.00"}, "refund_fee_wrong", "refund_admin_fee", "-2.23"),
    ("refund gives no fee back", {}, {"referral_fee": ""}, "refund_fee_wrong", "referral_fee", "-8.89"),
    ("refund of more than was paid", {}, {"item_price": "-50.00"}, "price_differs", "item_price", "-8.15"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sale", "refund", "cause", "kind", "amount"), CASES, ids=[row[0] for row in CASES])
def test_each_deviation_is_found_with_its_cause_and_amount(
    amazon: Account, name: str, sale: dict[str, str], refund: dict[str, str], cause: str, kind: str, amount: str
) -> None:
    line = a_sale(amazon)
    rows = booked(line, **sale)
    if refund:
        rows += booked(line, event="refund", rows=BACK, **refund)
    head = settled(amazon, [row for row in rows if row[3]])
    right = a_sale(amazon, "O-2")
    settled(amazon, booked(right), ref="S2")
    reconcile(now=NOW)
    found = Discrepancy.objects.get(cause=cause, line=line)
    if name != "refund of more than was paid":
        assert Discrepancy.objects.count() == 1
        assert (found.kind, found.amount, found.order_ref, found.line_ref) == (kind, dec(amount), "O-1", "O-1-1")
    assert verdicts(line, "refund" if refund else "sale")[kind] == f"discrepancy:{cause}"
    bad = SettlementLine.objects.filter(settlement=head, state="discrepancy")
    assert {row.kind for row in bad} <= {kind, "referral_fee", "refund_admin_fee"}
    assert set(verdicts(right).values()) == {"reconciled"}
    assert sum(share.amount for share in states_of(head).values()) == head.header_total


def test_a_fee_charged_twice_is_wrong_once(amazon: Account) -> None:
    line = a_sale(amazon)
    head = settled(amazon, [*booked(line), (line, "sale", "referral_fee", "-8.89")])
    reconcile(now=NOW)
    assert causes() == [("charged_twice", "O-1-1", dec("-8.89"))]
    fees = SettlementLine.objects.filter(settlement=head, kind="referral_fee").order_by("ordinal")
    assert [row.state for row in fees] == ["reconciled", "discrepancy"]


def test_a_sale_paid_twice_is_one_finding(bunnings: Account) -> None:
    line = sold(
        bunnings,
        "W1",
        {"item_price": "59.90"},
        at="bunnings.com.au",
        sku=article(category="tools"),
        fulfillment="seller",
    )
    fees = [(line, "sale", "referral_fee", "-7.19"), (line, "sale", "referral_fee_tax", "-0.72")]
    settled(bunnings, [(line, "sale", "item_price", "59.90"), (line, "sale", "item_price", "59.90"), *fees])
    reconcile(now=NOW)
    assert causes() == [("paid_twice", "W1-1", dec("59.90"))]


def test_two_shipments_of_a_line_are_no_double_charge(amazon: Account) -> None:
    line = sold(amazon, "O-1", {"item_price": "83.70", "item_tax": "15.90"}, sku=article(), quantity=2)
    settled(amazon, [*booked(line), *booked(line)])
    reconcile(now=NOW)
    assert causes() == []


def test_the_tax_on_a_wrong_fee_belongs_to_the_same_finding(bunnings: Account) -> None:
    line = sold(
        bunnings,
        "W1",
        {"item_price": "59.90"},
        at="bunnings.com.au",
        sku=article(category="tools"),
        fulfillment="seller",
    )
    settled(bunnings, [
        (line, "sale", "item_price", "59.90"), (line, "sale", "referral_fee", "-8.39"),
        (line, "sale", "referral_fee_tax", "-0.84"),
    ])  # fmt: skip
    reconcile(now=NOW)
    assert causes() == [("fee_overcharged", "W1-1", dec("-1.32"))]


def test_a_cent_of_tax_is_tolerated(amazon: Account) -> None:
    line = a_sale(amazon)
    head = settled(amazon, booked(line, item_tax="7.94"))
    reconcile(now=NOW)
    assert verdicts(line)["item_tax"] == "tolerated"
    assert causes() == []
    assert (states_of(head)["tolerated"].lines, states_of(head)["tolerated"].amount) == (1, dec("7.94"))


def test_small_differences_that_all_go_one_way_are_a_finding(amazon: Account) -> None:
    lines = [a_sale(amazon, f"O-{n}") for n in range(20)]
    settled(amazon, [row for line in lines for row in booked(line, item_tax="7.94")])
    reconcile(now=NOW)
    assert causes() == []
    settled(amazon, booked(a_sale(amazon, "O-20"), item_tax="7.94"), ref="S2")
    reconcile(now=NOW)
    assert causes() == [("rounding", "", dec("-0.21"))]


def test_small_differences_of_a_month_stay_found_while_another_month_is_judged(amazon: Account) -> None:
    lines = [a_sale(amazon, f"O-{n}") for n in range(21)]
    settled(amazon, [row for line in lines for row in booked(line, item_tax="7.94")])
    reconcile(now=NOW)
    settled(amazon, booked(a_sale(amazon, "O-21", on=date(2026, 8, 10)), item_tax="7.94"), ref="S2")
    assert reconcile(now=NOW, since=NOW + timedelta(days=1)).lines == 1
    assert causes() == [("rounding", "", dec("-0.21"))]
    settled(amazon, booked(a_sale(amazon, "O-22"), item_tax="7.94"), ref="S3")
    reconcile(now=NOW, since=NOW + timedelta(days=1))
    assert causes() == [("rounding", "", dec("-0.22"))]


def test_lines_of_the_account_are_right_when_their_kind_is_known(amazon: Account) -> None:
    rows: Rows = [
        (None, "account", "advertising", "-90.00"), (None, "account", "reserve", "-10.00"),
        (None, "account", "unknown", "-59.00"),
    ]  # fmt: skip
    head = settled(amazon, rows, total="-160.00")
    reconcile(now=NOW)
    states = dict(SettlementLine.objects.filter(settlement=head).values_list("kind", "state"))
    assert states == {
        "advertising": "reconciled", "reserve": "reconciled", "unknown": "discrepancy", "unexplained": "discrepancy",
    }  # fmt: skip
    assert causes() == [("header_mismatch", "S1", dec("-1.00")), ("unknown_kind", "S1", dec("-59.00"))]
    assert totals().balanced


def test_lines_of_an_unknown_order_wait_and_find_it_when_it_comes(amazon: Account) -> None:
    head = settled(amazon, [(None, "sale", "item_price", "41.85")], order_ref="O-1")
    reconcile(now=NOW)
    assert states_of(head)["awaiting"].lines == 1
    line = a_sale(amazon)
    reconcile(now=NOW)
    assert verdicts(line)["item_price"] == "reconciled"
    assert states_of(head)["reconciled"].lines == 1


def test_a_run_of_equal_deviations_is_one_finding(amazon: Account) -> None:
    lines = [
        sold(amazon, f"O-{n}", {"item_price": f"{20 + n}.00"}, sku=article(), fulfillment="seller") for n in range(19)
    ]
    for n, line in enumerate(lines):
        # 18 % where the rule says 15 %, and 19 % tax on it
        fee = (dec("0.18") * (20 + n)).quantize(dec("0.01"))
        tax = (fee * dec("0.19")).quantize(dec("0.01"), rounding="ROUND_HALF_UP")
        settled(
            amazon,
            [(line, "sale", "item_price", f"{20 + n}.00"), (line, "sale", "referral_fee", str(-fee - tax))],
            ref=f"S{n}",
        )
    reconcile(now=NOW)
    assert {cause for cause, _line, _amount in causes()} == {"fee_overcharged"}
    last = sold(amazon, "O-19", {"item_price": "39.00"}, sku=article(), fulfillment="seller")
    settled(amazon, [(last, "sale", "item_price", "39.00"), (last, "sale", "referral_fee", "-8.35")], ref="S19")
    reconcile(now=NOW)
    found = Discrepancy.objects.get(state="open")
    assert (found.cause, found.note) == ("rate_changed", "20")
    assert found.group_key == "rate_changed|amazon.de|referral_fee|home_kitchen|0.15|0.18"
    assert found.amount == sum(row.difference or 0 for row in lines_of_group(found.group_key))
    assert [group.findings for group in groups()] == [1]
    assert set(SettlementLine.objects.filter(kind="referral_fee").values_list("cause", flat=True)) == {"rate_changed"}
    before = tuples_written()
    assert reconcile(now=NOW, full=True).written == 0
    assert tuples_written() == before


def test_equal_deviations_fall_apart_when_some_are_put_right(amazon: Account) -> None:
    test_a_run_of_equal_deviations_is_one_finding(amazon)
    fee_rule("amazon.de", category="home_kitchen", rate=dec("0.18"), fulfillment="seller")
    reconcile(now=NOW)
    assert causes() == []
    assert Discrepancy.objects.exclude(state="gone").count() == 0


def test_deviations_of_different_rates_are_no_run(amazon: Account) -> None:
    for n in range(24):
        line = sold(amazon, f"O-{n}", {"item_price": "100.00"}, sku=article(), fulfillment="seller")
        settled(
            amazon,
            [(line, "sale", "item_price", "100.00"), (line, "sale", "referral_fee", f"-{18 + n}.00")],
            ref=f"S{n}",
        )
    reconcile(now=NOW)
    assert {cause for cause, _line, _amount in causes()} == {"fee_overcharged"}
    assert len(causes()) == 24


def test_a_finding_goes_when_a_correction_comes_and_comes_back_when_it_is_undone(amazon: Account) -> None:
    line = a_sale(amazon)
    head = settled(amazon, booked(line, referral_fee="-10.00"))
    reconcile(now=NOW)
    first = Discrepancy.objects.get()
    settled(amazon, [(line, "sale", "referral_fee", "1.11")], ref="S2")
    reconcile(now=NOW)
    first.refresh_from_db()
    assert (first.state, first.gone_at) == ("gone", NOW)
    SettlementLine.objects.filter(settlement__settlement_ref="S2").update(reversed_in=2, state="new")
    reconcile(now=NOW)
    first.refresh_from_db()
    assert (first.state, first.gone_at) == ("open", None)
    assert states_of(head)["discrepancy"].lines == 1


def test_running_again_writes_nothing(amazon: Account) -> None:
    lines = [a_sale(amazon, f"O-{n}") for n in range(6)]
    settled(amazon, [*booked(lines[0]), *booked(lines[1], referral_fee="-10.00"), *booked(lines[2], unknown="-1.00")])
    settled(
        amazon,
        [*booked(lines[3], event="refund", rows=BACK), (None, "account", "unknown", "-3.00")],
        ref="S2",
        total="1.00",
    )
    settled(amazon, [(None, "sale", "item_price", "5.00")], ref="S3", order_ref="O-77")
    reconcile(now=NOW)
    before = tuples_written()
    for full in (False, True):
        assert reconcile(now=NOW, full=full).written == 0
    assert tuples_written() == before


def test_the_number_of_statements_does_not_grow_with_the_lines(amazon: Account) -> None:
    counts = []
    for start, size in ((0, 2), (100, 20)):
        lines = [a_sale(amazon, f"O-{start + n}") for n in range(size)]
        settled(amazon, [row for line in lines for row in booked(line, referral_fee="-10.00")], ref=f"S{start}")
        with CaptureQueriesContext(connection) as queries:
            reconcile(now=NOW)
        counts.append(statements(queries))
    # the first run also meets the client's rules for the first time: it stores its mark in two statements more
    assert counts[1] <= counts[0]


def test_one_new_settlement_touches_only_its_lines(amazon: Account) -> None:
    old = [a_sale(amazon, f"O-{n}", on=date(2026, 8, 1) + timedelta(days=n)) for n in range(30)]
    settled(amazon, [row for line in old for row in booked(line)])
    reconcile(now=NOW)
    settled(amazon, booked(old[0], event="refund", rows=BACK), ref="S2")
    done = reconcile(now=NOW)
    assert done.lines == 2  # that one, and the last one seen by the run before
    assert set(verdicts(old[0], "refund").values()) == {"reconciled"}


def test_lines_a_run_was_told_to_pass_over_are_judged_by_the_next(amazon: Account) -> None:
    a_sale(amazon)
    reconcile(now=NOW)
    passed = a_sale(amazon, "O-2")
    OrderLine.objects.filter(pk=passed.pk).update(changed_at=NOW - timedelta(days=2))
    last = a_sale(amazon, "O-3")
    OrderLine.objects.filter(pk=last.pk).update(changed_at=NOW)
    reconcile(now=NOW, since=NOW - timedelta(hours=2))
    assert (verdicts(passed), verdicts(last)["item_price"]) == ({}, "awaiting")
    reconcile(now=NOW)
    assert verdicts(passed)["item_price"] == "awaiting"


def test_lines_paid_before_the_order_is_known_as_shipped_wait_for_it(amazon: Account) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article(), status="to_ship", shipped=0)
    head = settled(amazon, booked(line))
    reconcile(now=NOW)
    assert causes() == []
    assert states_of(head)["awaiting"].lines == 4
    OrderLine.objects.filter(pk=line.pk).update(status="shipped", quantity_shipped=1, changed_at=NOW)
    reconcile(now=NOW)
    assert states_of(head)["reconciled"].lines == 4


def test_a_line_is_shown_expected_beside_paid(amazon: Account) -> None:
    line = a_sale(amazon)
    head = settled(amazon, booked(line, referral_fee="-10.00"))
    reconcile(now=NOW)
    shown = {row.kind: row for row in line_beside(line)}
    assert list(shown) == ["item_price", "item_tax", "fulfillment_fee", "referral_fee"]
    fee = shown["referral_fee"]
    assert (fee.expected, fee.actual, fee.difference) == (dec("-8.89"), dec("-10"), dec("-1.11"))
    assert fee.formula.startswith("15.00 % × 49.80 = 7.47")
    assert [row.ordinal for row in fee.rows] == [3]
    assert [(row.cause, row.lines, row.difference) for row in causes_of(head)] == [("fee_overcharged", 1, dec("-1.11"))]


def test_money_given_back_that_only_the_statement_tells_proves_nothing(amazon: Account) -> None:
    line = a_sale(amazon)
    settled(amazon, booked(line, event="refund", rows=BACK))
    reconcile(now=NOW)
    assert settled_share_by_value() == 1
    judged = LineReconciliation.objects.filter(line=line, event="refund", kind="item_price").get()
    assert judged.verdict == "reconciled"


def test_another_client_is_neither_judged_nor_seen(amazon: Account, client2: Any) -> None:
    from domventas.core.tenancy import acting_for

    line = a_sale(amazon)
    settled(amazon, booked(line, referral_fee="-10.00"))
    with acting_for(client2):
        assert reconcile(now=NOW).lines == 0
        assert totals().lines == 0
    assert not LineReconciliation.objects.exists()


def test_the_command_tells_states_and_receivables(amazon: Account) -> None:
    line = a_sale(amazon)
    settled(amazon, booked(line, referral_fee="-10.00"))
    out = StringIO()
    call_command("reconcile", client="dom-ventas", now="2026-11-20T06:00:00Z", json=True, stdout=out, stderr=StringIO())
    facts = json.loads(out.getvalue())
    assert (facts["lines"], facts["reconciled"], facts["discrepancies"], facts["balanced"]) == (4, 3, 1, True)
    assert facts["receivables"][0]["state"] == "part_paid"
