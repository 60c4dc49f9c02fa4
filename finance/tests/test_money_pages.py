"""What the money pages are fed with: balances and gaps, the ways from gross to contribution, and proposed rules."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.postgres.fields.ranges import DateRange
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.times import Period
from finance.models import Discrepancy, FeeRule, Settlement, SkuCost
from finance.selectors.are_we_paid import absent_settlements
from finance.selectors.discrepancies import groups
from finance.selectors.receivables import roll_forward
from finance.selectors.reconciliation import totals
from finance.selectors.waterfall import waterfall
from finance.services.proposals import NoProposal, accept_rule, propose
from finance.services.reconcile import reconcile
from finance.testing import account
from finance.tests.golden import ALWAYS, NOW, article, dec, expectations, rules, settled, sold
from marketplaces.models import Account
from orders.models import OrderLine

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}
RIGHT = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
TODAY = NOW.date()


def a_sale(of: Account, ref: str = "O-1", **how: Any) -> OrderLine:
    """One piece for 49.80."""
    return sold(of, ref, GOODS, sku=article(), **how)


def statement(of: Account, start: date, end: date, ref: str, *, status: str = "loaded") -> None:
    """A statement of a period without lines."""
    Settlement.objects.create(
        account=of, settlement_ref=ref, status=status, currency="EUR", loaded_at=NOW, header_total=0,
        period_start=datetime(start.year, start.month, start.day, tzinfo=UTC),
        period_end=datetime(end.year, end.month, end.day, tzinfo=UTC),
    )  # fmt: skip


def test_a_line_falls_from_gross_to_payout_and_to_contribution(amazon: Account) -> None:
    sku = article()
    SkuCost.objects.create(sku=sku, currency="EUR", valid=ALWAYS, purchase=dec("12.00"), shipping=dec("1.50"))
    line = a_sale(amazon)
    settled(amazon, [(line, "sale", kind, amount) for kind, amount in RIGHT.items()])
    reconcile(now=NOW)
    fall = waterfall(line)
    assert [(step.kind, step.expected) for step in fall.cash] == [
        ("item_price", dec("41.85")), ("item_tax", dec("7.95")), ("fulfillment_fee", dec("-3.87")),
        ("referral_fee", dec("-8.89")),
    ]  # fmt: skip
    assert [(step.kind, step.expected) for step in fall.margin] == [
        ("item_price", dec("41.85")), ("fulfillment_fee", dec("-3.25")), ("referral_fee", dec("-7.47")),
    ]  # fmt: skip
    assert (fall.payout_expected, fall.payout_paid) == (dec("37.04"), dec("37.04"))
    assert (fall.output_tax, fall.fee_tax, fall.before_cost) == (dec("-7.95"), dec("-2.04"), dec("31.13"))
    # the bridge: 37.04 - 7.95 + 2.04 = 31.13, less 13.50
    assert fall.payout_expected + fall.output_tax - fall.fee_tax == fall.before_cost
    assert (fall.cost, fall.contribution, list(fall.unknown)) == (dec("-13.50"), dec("17.63"), [])


@pytest.mark.parametrize(
    ("status", "shipped", "pieces"),
    [("shipped", 3, 3), ("shipped", 1, 1), ("shipped", 0, 2), ("to_ship", 0, 0), ("canceled", 3, 0)],
)
def test_only_pieces_that_left_have_a_cost(amazon: Account, status: str, shipped: int, pieces: int) -> None:
    sku = article()
    SkuCost.objects.create(sku=sku, currency="EUR", valid=ALWAYS, purchase=dec("12.00"))
    line = sold(amazon, "O-1", GOODS, sku=sku, quantity=3, shipped=shipped, status=status)
    line.quantity_canceled = 3 - pieces
    assert waterfall(line).cost == -12 * pieces


def test_an_unknown_cost_leaves_the_contribution_unknown(amazon: Account) -> None:
    line = a_sale(amazon)
    reconcile(now=NOW)
    fall = waterfall(line)
    assert (fall.before_cost, fall.contribution, list(fall.unknown)) == (dec("31.13"), None, ["cost"])
    assert fall.payout_paid is None


def test_a_price_whose_tax_nobody_states_has_no_margin(acting: Any) -> None:
    rules("bunnings.com.au")
    bunnings = account("bunnings-au", sites=["bunnings.com.au"])
    sku = article(category="tools")
    line = sold(bunnings, "W1", {"item_price": "59.90"}, at="bunnings.com.au", sku=sku, fulfillment="seller")
    reconcile(now=NOW)
    fall = waterfall(line)
    assert (fall.payout_expected, fall.before_cost, fall.output_tax) == (dec("51.99"), None, None)
    assert "tax_in_price" in fall.unknown


def test_statements_that_should_be_here_are_named_with_what_they_block(amazon: Account) -> None:
    a_sale(amazon, on=date(2026, 10, 6))  # delivered on the 9th, released on the 16th
    statement(amazon, date(2026, 10, 1), date(2026, 10, 8), "S1")
    statement(amazon, date(2026, 10, 8), date(2026, 10, 15), "S2")
    statement(amazon, date(2026, 10, 22), date(2026, 10, 29), "S4")
    statement(amazon, date(2026, 10, 29), date(2026, 11, 5), "S5", status="waiting")
    reconcile(now=NOW)
    rows = absent_settlements(today=TODAY)
    assert [(row.what, row.start, row.settlement_ref, row.blocked) for row in rows] == [
        ("between", date(2026, 10, 15), "", dec("37.04")),
        ("without_lines", date(2026, 10, 29), "S5", 0),
        ("after", date(2026, 11, 5), "", 0),
    ]
    # a week's cycle from the 5th and five days of grace: nothing is absent before the 17th
    assert [row.what for row in absent_settlements(today=date(2026, 11, 16))] == ["between", "without_lines"]


def test_a_young_account_without_payment_terms_is_late_for_nothing(acting: Any) -> None:
    lone = account("amazon-eu", sites=["amazon.de"])
    for start in (date(2026, 8, 1), date(2026, 8, 8), date(2026, 8, 15)):
        statement(lone, start, start + timedelta(days=7), f"S{start}")
    assert absent_settlements(today=TODAY) == []
    statement(lone, date(2026, 8, 22), date(2026, 8, 29), "S4")
    # a week between them, and two days of grace: due on the 7th
    assert [(row.what, row.due) for row in absent_settlements(today=TODAY)] == [("after", date(2026, 9, 7))]


def test_what_an_account_does_tells_its_cycle_before_its_payment_terms(amazon: Account) -> None:
    for week in range(0, 8, 2):
        start = date(2026, 8, 31) + timedelta(weeks=week)
        statement(amazon, start, start + timedelta(days=14), f"S{week}")
    # Every fourteen days until 26 October, while the terms say a week: due on the 9th and late on the 13th.
    assert absent_settlements(today=date(2026, 11, 12)) == []
    (row,) = absent_settlements(today=date(2026, 11, 13))
    assert (row.what, row.start) == ("after", date(2026, 10, 26))


def test_missing_statements_cost_a_fixed_number_of_queries(amazon: Account) -> None:
    counts = []
    for first, size in ((0, 2), (2, 20)):
        for n in range(first, first + size):
            start = date(2026, 1, 1) + timedelta(days=14 * n)
            statement(amazon, start, start + timedelta(days=7), f"S{n}")
        with CaptureQueriesContext(connection) as queries:
            absent_settlements(today=TODAY)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_figures_of_the_page_cost_a_fixed_number_of_queries(amazon: Account) -> None:
    period, counts = Period(date(2026, 9, 1), date(2026, 12, 1)), []
    for start, size in ((0, 2), (50, 12)):
        for n in range(start, start + size):
            line = a_sale(amazon, f"O-{n}")
            settled(
                amazon, [(line, "sale", k, v) for k, v in {**RIGHT, "referral_fee": "-10.00"}.items()], ref="S" + str(n)
            )
        reconcile(now=NOW)
        with CaptureQueriesContext(connection) as queries:
            found, balances, lines = groups(), roll_forward(period, today=NOW.date()), totals()
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert [(group.cause, group.findings) for group in found] == [("fee_overcharged", 14)]
    assert balances[0].unexplained == dec("-15.54")
    assert lines.discrepancies == 14


def a_run(of: Account) -> Discrepancy:
    """Twenty lines charged 18 % where the rule says 15 %, from the fifth of September on."""
    for n in range(20):
        line = sold(
            of, f"O-{n}", {"item_price": "100.00"}, sku=article(), fulfillment="seller", on=date(2026, 9, 5 + n)
        )
        settled(of, [(line, "sale", "item_price", "100.00"), (line, "sale", "referral_fee", "-21.42")], ref=f"S{n}")
    reconcile(now=NOW)
    return Discrepancy.objects.get(state="open")


def test_a_run_of_deviations_proposes_its_rate_and_accepting_it_settles_all(amazon: Account) -> None:
    found = a_run(amazon)
    proposal = propose(found.group_key)
    assert (proposal.old_rate, proposal.new_rate, proposal.valid_from, proposal.lines) == (
        dec("0.15"), dec("0.18"), date(2026, 9, 5), 20,
    )  # fmt: skip
    made = accept_rule(proposal, source="fee page of 5 September")
    assert (made.origin, made.valid.lower) == ("staff", date(2026, 9, 5))
    assert FeeRule.objects.get(pk=proposal.rule_id).valid == DateRange(date(2025, 1, 1), date(2026, 9, 5))
    reconcile(now=NOW)
    found.refresh_from_db()
    assert found.state == "gone"
    assert expectations(OrderLine.objects.first() or OrderLine())["referral_fee"] == dec("-21.42")
    with pytest.raises(NoProposal):
        propose(found.group_key)


def test_a_proposal_needs_a_source_and_the_rule_as_it_was(amazon: Account) -> None:
    proposal = propose(a_run(amazon).group_key)
    with pytest.raises(NoProposal):
        accept_rule(proposal, source=" ")
    FeeRule.objects.filter(pk=proposal.rule_id).update(rate=dec("0.16"))
    with pytest.raises(NoProposal, match="changed"):
        accept_rule(proposal, source="fee page")
    with pytest.raises(NoProposal):
        propose("rate_changed|amazon.de|referral_fee|garden|0.15|0.18")
