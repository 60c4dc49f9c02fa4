"""Each shipped line is in one state of money owed, told by evidence, and the states add up to what was shipped."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import ANY

import pytest

from domventas.core.times import Period
from finance.models import Discrepancy, Payout, Receivable, Settlement, Transaction
from finance.selectors.bridge import bridges
from finance.selectors.receivables import expected_weeks, overdue_or_in_question, roll_forward, sums_by_state
from finance.services import discrepancies
from finance.services.reconcile import reconcile
from finance.tests.golden import NOW, SOLD, article, dec, refunded, settled, sold
from marketplaces.models import Account
from orders.models import OrderLine

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}
RIGHT = {**GOODS, "referral_fee": "-8.89", "fulfillment_fee": "-3.87"}
BACK = {"item_price": "-41.85", "item_tax": "-7.95", "referral_fee": "8.89", "refund_admin_fee": "-1.77"}
#: Sold on 10 September, delivered on the 13th: released on the 20th, in a statement by the 27th, late from 3 October.
RELEASED, DUE, LATE = date(2026, 9, 20), date(2026, 9, 27), date(2026, 10, 3)


def at(day: date) -> datetime:
    """Six in the morning of a day."""
    return datetime(day.year, day.month, day.day, 6, tzinfo=UTC)


def a_sale(of: Account, ref: str = "O-1", **how: Any) -> OrderLine:
    """One piece for 49.80, which should bring 37.04."""
    return sold(of, ref, GOODS, sku=article(), **how)


def pay(of: Account, line: OrderLine, *, event: str = "sale", ref: str = "S1", **changed: str) -> Settlement:
    """A statement with the line as it should be, but for some kinds."""
    rows = {**(RIGHT if event == "sale" else BACK), **changed}
    return settled(of, [(line, event, kind, amount) for kind, amount in rows.items() if amount], ref=ref)


def empty_statement(of: Account, *, until: date = date(2026, 10, 12), ref: str = "S0") -> Settlement:
    """A statement over the weeks in which the line should have been paid, without it."""
    return settled(of, [], ref=ref, start=until - timedelta(days=28))


def booked(of: Account, ref: str, state: str, release_at: datetime | None, reason: str = "") -> Transaction:
    """The marketplace's own booking of an order's money."""
    return Transaction.objects.create(
        account=of, external_id=f"T-{ref}", state=state, event="sale", amount=dec("37.04"), currency="EUR",
        posted_at=at(SOLD), release_at=release_at, reason=reason, order_ref=ref,
    )  # fmt: skip


def state(line: OrderLine) -> tuple[str, str]:
    """State and reason of a line's receivable."""
    row = Receivable.objects.get(line=line)
    return row.state, row.reason


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (RELEASED - timedelta(days=1), "not_due"),
        (RELEASED, "due"),
        (LATE - timedelta(days=1), "due"),
        (LATE, "overdue"),
    ],
)
def test_time_moves_an_unpaid_line_from_not_due_to_overdue(amazon: Account, day: date, expected: str) -> None:
    line = a_sale(amazon)
    reconcile(now=at(SOLD + timedelta(days=4)))
    assert state(line)[0] == "not_due"
    reconcile(now=at(day))
    row = Receivable.objects.get(line=line)
    assert (row.state, row.release_on, row.due_on) == (expected, RELEASED, DUE)
    assert (row.shipped_value, row.expected_net, row.paid, row.open) == (dec("49.80"), dec("37.04"), 0, dec("37.04"))


def test_an_unknown_delivery_counts_from_shipping_and_the_usual_way(amazon: Account) -> None:
    line = a_sale(amazon, delivered=False)
    reconcile(now=at(SOLD))
    # shipped on the 11th, seven days on the way, seven until release
    assert Receivable.objects.get(line=line).release_on == date(2026, 9, 25)


def test_overdue_without_its_statement_is_a_missing_statement_not_a_missing_payment(amazon: Account) -> None:
    line = a_sale(amazon)
    reconcile(now=NOW)
    assert state(line) == ("overdue", "settlement_absent")
    assert not Discrepancy.objects.exists()
    empty_statement(amazon)
    reconcile(now=NOW)
    assert state(line) == ("overdue", "not_in_settlement")
    found = Discrepancy.objects.get()
    assert (found.cause, found.amount, found.line_ref) == ("payment_missing", dec("-37.04"), "O-1-1")
    pay(amazon, line)
    reconcile(now=NOW)
    found.refresh_from_db()
    assert (state(line)[0], found.state) == ("paid", "gone")


def test_a_deferred_booking_says_why_and_until_when(amazon: Account) -> None:
    line = a_sale(amazon)
    empty_statement(amazon)
    booked(amazon, "O-1", "deferred", NOW + timedelta(days=9), "DD7")
    reconcile(now=NOW)
    assert state(line) == ("deferred", "DD7")
    assert Receivable.objects.get().release_on == date(2026, 11, 29)
    assert not Discrepancy.objects.exists()


def test_a_booking_deferred_without_a_day_waits_and_one_released_later_is_not_missing(amazon: Account) -> None:
    waiting, later = a_sale(amazon), a_sale(amazon, "O-2")
    booked(amazon, "O-1", "deferred", None, "business invoice")
    booked(amazon, "O-2", "released", None)
    empty_statement(amazon)
    reconcile(now=at(LATE))
    assert (state(waiting), state(later)[0]) == (("deferred", "business invoice"), "overdue")
    assert not Discrepancy.objects.exists()


def test_what_is_said_to_be_in_a_statement_was_released_when_it_was_booked(amazon: Account) -> None:
    line = a_sale(amazon)
    row = booked(amazon, "O-1", "settled", None)
    reconcile(now=at(RELEASED - timedelta(days=1)))
    assert (state(line)[0], Receivable.objects.get().release_on) == ("due", row.posted_at.date())


@pytest.mark.parametrize(("first", "reason"), [("loaded", "not_in_settlement"), ("waiting", "settlement_absent")])
def test_a_statement_without_a_beginning_begins_where_the_one_before_ended(
    amazon: Account, first: str, reason: str
) -> None:
    line = a_sale(amazon)
    ends = {"S1": RELEASED + timedelta(days=4), "S2": RELEASED + timedelta(days=11)}
    for ref, end in ends.items():
        head = empty_statement(amazon, until=end, ref=ref)
        status = first if ref == "S1" else "loaded"
        Settlement.objects.filter(pk=head.pk).update(period_start=None, status=status)
    reconcile(now=at(LATE))
    assert state(line) == ("overdue", reason)
    assert Discrepancy.objects.exists() == (first == "loaded")


def test_a_release_counts_from_its_own_day(amazon: Account) -> None:
    line = a_sale(amazon)
    empty_statement(amazon)
    booked(amazon, "O-1", "released", NOW - timedelta(days=2))
    reconcile(now=NOW)
    assert state(line)[0] == "due"
    assert not Discrepancy.objects.exists()


def test_paid_part_paid_and_refunded(amazon: Account) -> None:
    right, short, back, half = (a_sale(amazon, f"O-{n}") for n in range(4))
    pay(amazon, right, ref="S1")
    pay(amazon, short, ref="S2", referral_fee="-10.00")
    pay(amazon, back, ref="S3")
    pay(amazon, back, ref="S4", event="refund")
    pay(amazon, half, ref="S5", item_tax="7.94")
    reconcile(now=NOW)
    assert [state(line)[0] for line in (right, short, back, half)] == ["paid", "part_paid", "refunded", "paid"]
    assert Receivable.objects.get(line=short).open == dec("1.11")
    assert Receivable.objects.get(line=back).expected_net == dec("37.04") + dec("-42.68")


def test_a_finished_line_is_the_same_whether_it_is_looked_at_again_or_not(amazon: Account) -> None:
    line = a_sale(amazon)
    waits = booked(amazon, "O-1", "deferred", NOW - timedelta(days=30))
    pay(amazon, line)
    reconcile(now=NOW)
    Transaction.objects.filter(pk=waits.pk).update(state="settled", release_at=NOW - timedelta(days=20))
    Settlement.objects.update(paid_on=date(2026, 11, 1))
    assert reconcile(now=NOW).written == 0
    assert reconcile(now=NOW + timedelta(days=3), full=True).written == 0
    assert state(line)[0] == "paid"


def test_a_fee_without_a_rule_is_not_owed(amazon: Account) -> None:
    line = sold(amazon, "O-1", GOODS, sku=article(category="garden"), fulfillment="seller")
    settled(amazon, [(line, "sale", kind, amount) for kind, amount in {**GOODS, "referral_fee": "-11.11"}.items()])
    reconcile(now=NOW)
    row = Receivable.objects.get()
    assert (row.state, row.expected_net, row.open) == ("paid", dec("38.69"), 0)


def test_a_line_of_which_nothing_is_known_has_no_expectation(amazon: Account) -> None:
    line = sold(amazon, "O-1", {}, sku=article(), fulfillment="seller")
    reconcile(now=NOW)
    row = Receivable.objects.get(line=line)
    assert (row.shipped_value, row.expected_net, row.open) == (None, None, None)


def test_what_people_decide_shows_in_the_state_and_lasts(amazon: Account) -> None:
    line, other = a_sale(amazon), a_sale(amazon, "O-2")
    pay(amazon, line, referral_fee="-10.00")
    empty_statement(amazon)
    reconcile(now=NOW)
    wrong, missing = Discrepancy.objects.get(line=line), Discrepancy.objects.get(line=other)
    assert discrepancies.accept([wrong.pk], until=date(2026, 12, 1), note="too small", by="ana", now=NOW) == 1
    assert discrepancies.claim([missing.pk], note="case 17", by="ana") == 1
    for _again in range(2):
        reconcile(now=NOW)
        assert (state(line)[0], state(other)[0]) == ("written_off", "disputed")
    reconcile(now=at(date(2026, 12, 2)))
    wrong.refresh_from_db()
    assert (wrong.state, wrong.note) == ("open", "too small")
    assert discrepancies.reopen([missing.pk], by="ana") == 1


def test_what_was_accepted_as_missing_is_owed_again_when_it_is_not_missing(amazon: Account) -> None:
    line = a_sale(amazon)
    statement = empty_statement(amazon)
    reconcile(now=NOW)
    missing = Discrepancy.objects.get(line=line)
    discrepancies.accept([missing.pk], until=None, note="lost", by="ana", now=NOW)
    reconcile(now=NOW)
    assert state(line)[0] == "written_off"
    Settlement.objects.filter(pk=statement.pk).update(
        period_start=at(date(2026, 7, 1)), period_end=at(date(2026, 8, 1)), is_seen=False
    )
    for _again in range(2):  # the finding goes, and then what was decided about it
        reconcile(now=NOW)
    missing.refresh_from_db()
    assert (missing.state, *state(line)) == ("gone", "overdue", "settlement_absent")


def test_what_was_accepted_of_a_statement_comes_back_after_its_day(amazon: Account) -> None:
    settled(amazon, [(None, "account", "unknown", "-5.00")], ref="S1")
    reconcile(now=NOW)
    strange = Discrepancy.objects.get(cause="unknown_kind")
    discrepancies.accept([strange.pk], until=date(2026, 12, 1), note="asked", by="ana", now=NOW)
    for day, expected in ((1, "accepted"), (2, "open"), (3, "open")):
        reconcile(now=at(date(2026, 12, day)))
        strange.refresh_from_db()
        assert (strange.state, strange.note) == (expected, "asked")


def test_what_was_accepted_comes_back_when_it_gets_worse_and_not_when_it_gets_better(amazon: Account) -> None:
    line = a_sale(amazon)
    pay(amazon, line, referral_fee="-10.00")
    reconcile(now=NOW)
    wrong = Discrepancy.objects.get(line=line)
    discrepancies.accept([wrong.pk], until=None, note="too small", by="ana", now=NOW)
    for n, (amount, expected) in enumerate([("0.50", "accepted"), ("-30.00", "open")]):
        settled(amazon, [(line, "sale", "referral_fee", amount)], ref=f"more-{n}")
        for _again in range(2):  # what a person decided ends with the finding, and the line follows
            reconcile(now=NOW)
        wrong.refresh_from_db()
        assert (wrong.state, state(line)[0]) == (expected, "written_off" if expected == "accepted" else "part_paid")
    assert wrong.amount == dec("-30.61")


def test_a_line_is_written_off_only_when_all_it_lacks_was_accepted(amazon: Account) -> None:
    line = a_sale(amazon)
    pay(amazon, line, referral_fee="-10.00", item_price="10.00")
    reconcile(now=NOW)
    for cause, expected in (("fee_overcharged", "part_paid"), ("price_differs", "written_off")):
        wrong = Discrepancy.objects.get(line=line, cause=cause)
        discrepancies.accept([wrong.pk], until=None, note="too small", by="ana", now=NOW)
        reconcile(now=NOW)
        assert (*state(line), Receivable.objects.get(line=line).open) == (expected, ANY, dec("32.96"))
    assert reconcile(now=NOW, full=True).written == 0


def test_deciding_needs_a_reason_and_a_day_to_come(amazon: Account) -> None:
    with pytest.raises(discrepancies.CannotDecide):
        discrepancies.accept([1], until=None, note=" ", by="ana", now=NOW)
    with pytest.raises(discrepancies.CannotDecide):
        discrepancies.accept([1], until=date(2026, 11, 20), note="x", by="ana", now=NOW)
    with pytest.raises(discrepancies.CannotDecide):
        discrepancies.claim([1], note="", by="ana")


def test_what_is_late_is_told_by_age_and_what_comes_by_week(amazon: Account) -> None:
    late, soon = a_sale(amazon, "O-1"), a_sale(amazon, "O-2", on=date(2026, 11, 10))
    reconcile(now=NOW)
    assert (state(late)[0], state(soon)[0]) == ("overdue", "due")
    rows = overdue_or_in_question(today=NOW.date())
    # due on 27 September: 54 days
    assert [(row.reason, row.lines, row.ages) for row in rows] == [("settlement_absent", 1, (0, 0, dec("37.04"), 0))]
    weeks = expected_weeks(today=NOW.date())
    # due on 27 November, the second week from the 20th
    assert [(week.start, week.amount) for week in weeks] == [(None, dec("37.04")), (date(2026, 11, 27), dec("37.04"))]


def test_the_balance_rolls_forward_to_what_the_statements_prove(amazon: Account) -> None:
    line = a_sale(amazon)
    head = pay(amazon, line, referral_fee="-10.00")
    rest: list[tuple[OrderLine | None, str, str, str]] = [
        (None, "account", "advertising", "-5.00"), (None, "account", "reserve", "-3.00"),
    ]  # fmt: skip
    settled(amazon, rest, ref="S2", total="-9.00")
    a_sale(amazon, "O-2", on=date(2026, 11, 10))
    Payout.objects.create(
        account=amazon,
        external_id="S1",
        amount=head.header_total,
        currency="EUR",
        state="paid",
        paid_on=date(2026, 10, 14),
    )
    reconcile(now=NOW)
    row = roll_forward(Period(date(2026, 9, 1), date(2026, 12, 1)), today=NOW.date())[0]
    assert (row.opening, row.sales, row.fees, row.payouts) == (0, dec("99.60"), dec("-30.52"), dec("-35.93"))
    # 1.11 taken too much, and a header that is 1.00 lower than its lines
    assert row.unexplained == dec("-2.11")
    assert row.closing == row.proved == dec("31.04")
    assert row.reserve == dec("3.00")
    later = roll_forward(Period(date(2026, 11, 1), date(2026, 12, 1)), today=NOW.date())[0]
    assert later.opening == dec("-6.00")
    assert later.closing == row.closing


@pytest.mark.parametrize("seed", range(5))
def test_states_and_balances_hold_whatever_happens(amazon: Account, seed: int) -> None:
    chance = random.Random(seed)
    rows: list[tuple[OrderLine | None, str, str, str]] = []
    for n in range(25):
        day = SOLD + timedelta(days=chance.randrange(60))
        line = a_sale(amazon, f"O-{n}", on=day, fulfillment=chance.choice(["seller", "marketplace"]))
        fate = chance.random()
        if fate < 0.6:
            sale = {kind: amount for kind, amount in RIGHT.items() if chance.random() > 0.1}
            if chance.random() < 0.3:
                sale["referral_fee"] = f"-{chance.randrange(100, 1500) / Decimal(100)}"
            rows += [(line, "sale", kind, amount) for kind, amount in sale.items()]
        if fate < 0.2:
            rows += [(line, "refund", kind, amount) for kind, amount in BACK.items()]
        elif fate < 0.3:
            refunded(line, {"item_price": "-41.85", "item_tax": "-7.95"}, on=day + timedelta(days=20))
        if fate > 0.9:
            booked(amazon, f"O-{n}", "deferred", NOW + timedelta(days=3))
    rows += [(None, "account", "unknown", "-7.00"), (None, "account", "storage_fee", "-12.00")]
    head = settled(amazon, rows, total=str(sum((dec(row[3]) for row in rows), Decimal(0)) + chance.randrange(-2, 3)))
    Payout.objects.create(
        account=amazon,
        external_id="S1",
        amount=head.header_total,
        currency="EUR",
        state="paid",
        paid_on=date(2026, 10, 14),
    )
    reconcile(now=NOW)
    shipped = sum(row.shipped_value or 0 for row in Receivable.objects.all())
    assert sum(row.shipped or 0 for row in sums_by_state()) == shipped == 25 * dec("49.80")
    assert Receivable.objects.count() == 25
    total = sum((line.amount for line in head.lines.exclude(state="new")), Decimal(0))
    assert total == head.header_total
    everything = Period(date(2026, 1, 1), date(2026, 12, 31))
    row = roll_forward(everything, today=NOW.date())[0]
    parts = (row.opening, row.sales, row.refunds, row.fees, row.withheld, row.payouts, row.unexplained, row.awaiting)
    assert sum(parts, Decimal(0)) == row.closing == row.proved
    (bridge,) = bridges([row])
    assert bridge.unexplained == 0
    assert reconcile(now=NOW, full=True).written == 0
