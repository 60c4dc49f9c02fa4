"""The next transfers to the bank: by a statement, by what an account is used to, or told as unknown."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from finance.models import PaymentTerm, Payout, Receivable, Settlement
from finance.selectors.cycles import next_end
from finance.selectors.transfers import Transfer, next_transfers
from finance.services.reconcile import reconcile
from finance.testing import account
from finance.tests.golden import NOW, article, dec, rules, settled, sold
from marketplaces.models import Account

pytestmark = pytest.mark.db

GOODS = {"item_price": "41.85", "item_tax": "7.95"}
TODAY = NOW.date()  # Friday, 20 November 2026
MONDAY = date(2026, 11, 16)


def week(of: Account, ended: date, total: str = "100.00", **more: Any) -> Settlement:
    """A statement of a week, which ends early in the morning of a day."""
    end = datetime(ended.year, ended.month, ended.day, 6, tzinfo=UTC)
    return Settlement.objects.create(
        account=of, settlement_ref=f"S-{ended}", currency="EUR", loaded_at=NOW, header_total=dec(total),
        period_start=end - timedelta(days=7), period_end=end, **{"status": "loaded", **more},
    )  # fmt: skip


def paid(head: Settlement, *, after: int = 2, **more: Any) -> Payout:
    """The transfer of a statement some days after its end."""
    values: dict[str, Any] = {"state": "paid", "amount": head.header_total, **more}
    day = values.pop("on", head.period_end.date() + timedelta(days=after) if head.period_end else None)
    return Payout.objects.create(
        account=head.account, external_id=head.settlement_ref, settlement_ref=head.settlement_ref, currency="EUR",
        paid_on=day, **values,
    )  # fmt: skip


def a_past(of: Account, *, weeks: int = 5, until: date = MONDAY) -> None:
    """Weekly statements, each transferred two days after its end."""
    for ago in range(weeks):
        paid(week(of, until - timedelta(weeks=ago)))


def by_evidence() -> dict[str, Transfer]:
    return {row.evidence: row for row in next_transfers(today=TODAY)}


def test_a_statement_that_is_here_is_certain_and_comes_when_it_usually_does(amazon: Account) -> None:
    a_past(amazon, until=date(2026, 11, 12))
    head = week(amazon, date(2026, 11, 19), "512.30")
    rows = next_transfers(today=TODAY)
    assert [row.evidence for row in rows] == ["stated", "running"], "the soonest first"
    row = rows[0]
    assert (row.day, row.day_by, row.lag) == (date(2026, 11, 21), "usual", 2)
    assert (row.amount, row.settlement, row.until, row.is_late) == (dec("512.30"), head.pk, date(2026, 11, 19), False)


@pytest.mark.parametrize("by", ["payout", "header"])
def test_a_day_the_marketplace_names_wins_over_what_is_usual(amazon: Account, by: str) -> None:
    a_past(amazon, until=date(2026, 11, 12))
    named = date(2026, 11, 25)
    head = week(amazon, date(2026, 11, 19), paid_on=named if by == "header" else None)
    if by == "payout":
        paid(head, state="pending", on=named)
    row = by_evidence()["stated"]
    assert (row.day, row.day_by) == (named, "told")


def test_without_a_past_transfer_the_day_is_unknown_and_says_why(amazon: Account) -> None:
    week(amazon, date(2026, 11, 19), "512.30")
    row = by_evidence()["stated"]
    assert (row.day, row.day_by, row.amount) == (None, "no_transfer", dec("512.30"))
    running = by_evidence()["running"]
    assert (running.day, running.day_by, running.until) == (None, "no_transfer", date(2026, 11, 26)), "the payment term"


def test_what_is_below_zero_or_made_is_no_transfer_to_come(amazon: Account) -> None:
    a_past(amazon)
    assert list(by_evidence()) == ["running"]
    week(amazon, date(2026, 11, 19), "-5.30")
    assert list(by_evidence()) == ["running"]
    assert by_evidence()["running"].carried == dec("-5.30")


def test_a_day_that_has_passed_without_word_is_late_and_failure_says_why(amazon: Account) -> None:
    a_past(amazon, until=date(2026, 11, 9))
    head = week(amazon, MONDAY)
    assert by_evidence()["stated"].is_late
    paid(head, state="failed", on=None, failure="account closed")
    row = by_evidence()["failed"]
    assert (row.day, row.failure, row.amount, row.is_late) == (None, "account closed", dec("100.00"), False)


def test_a_transfer_without_a_statement_is_told_too(amazon: Account) -> None:
    Payout.objects.create(
        account=amazon, external_id="P-9", settlement_ref="", currency="EUR", amount=dec("70.00"), state="pending",
        paid_on=date(2026, 11, 23),
    )  # fmt: skip
    (row,) = next_transfers(today=TODAY)
    assert (row.evidence, row.day, row.amount, row.ref) == ("announced", date(2026, 11, 23), dec("70.00"), "P-9")


def test_the_running_cycle_holds_what_is_released_in_it_and_names_the_rest_apart(amazon: Account) -> None:
    a_past(amazon)
    settled(amazon, [(None, "account", "reserve", "-3.00")], ref="R", start=date(2026, 6, 1), total="-3.00")
    # released on the 17th (in it), on the 23rd (after it), on the 15th (before it, in no statement)
    for ref, on in (("A", 7), ("B", 13), ("C", 5)):
        sold(amazon, ref, GOODS, sku=article(), on=date(2026, 11, on))
    reconcile(now=NOW)
    assert sorted(Receivable.objects.values_list("release_on", flat=True)) == [
        date(2026, 11, 15), date(2026, 11, 17), date(2026, 11, 23)
    ]  # fmt: skip
    row = by_evidence()["running"]
    assert (row.release_from, row.release_to, row.until) == (MONDAY, date(2026, 11, 22), date(2026, 11, 23))
    assert (row.day, row.amount, row.lines) == (date(2026, 11, 25), dec("37.04"), 1)
    assert (row.earlier, row.reserve) == (dec("37.04"), dec("3.00"))


def test_no_statement_and_no_payment_term_leave_the_cycle_unknown(amazon: Account) -> None:
    sold(amazon, "A", GOODS, sku=article(), on=date(2026, 11, 7))
    reconcile(now=NOW)
    row = by_evidence()["running"]
    assert (row.day, row.day_by, row.amount) == (None, "no_statement", None)
    week(amazon, MONDAY)
    PaymentTerm.objects.all().delete()
    row = by_evidence()["running"]
    assert (row.day, row.day_by, row.amount) == (None, "no_cycle", None)


def test_where_statements_come_by_hand_the_cycle_holds_what_has_no_evidence_yet(acting: Any) -> None:
    otto = account("otto-de", sites=["otto.de"])
    a_past(otto)
    row = by_evidence()["running"]
    assert (row.state, row.amount) == ("no_evidence", 0)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([4, 3, 4, 3, 4, 3, 4], 3),  # Tuesdays and Fridays: on a Tuesday the next is a Friday
        ([7] * 7, 7),
        ([14] * 7, 7),  # always one weekday: as usual, whatever was told as usual
        ([4, 3], 7),  # too few to tell
        ([3] * 7, 7),  # every weekday once
    ],
)
def test_a_statement_should_end_as_the_last_eight_did(gaps: list[int], expected: int) -> None:
    ends = [date(2026, 11, 24)]
    for gap in gaps:
        ends.append(ends[-1] - timedelta(days=gap))
    assert next_end(ends, usual=7) == ends[0] + timedelta(days=expected)
    assert next_end([], usual=7) is next_end(ends[:1], usual=None) is None


def test_a_transfer_only_its_statement_announces_is_made_on_its_day(amazon: Account) -> None:
    """Read the day before or the day after, the same is owed."""
    head = week(amazon, date(2026, 11, 19))
    payout = paid(head, state="pending", on=TODAY + timedelta(days=1))
    reconcile(now=NOW)
    payout.refresh_from_db()
    assert payout.state == "pending"
    reconcile(now=NOW + timedelta(days=1))
    payout.refresh_from_db()
    assert payout.state == "paid"


def test_a_transfer_its_marketplace_lists_is_made_when_it_says_so(acting: Any) -> None:
    rules("bunnings.com.au")
    bunnings = account("bunnings-au", sites=["bunnings.com.au"])
    payout = Payout.objects.create(
        account=bunnings, external_id="P", amount=Decimal(9), currency="AUD", state="pending",
        paid_on=TODAY - timedelta(days=3),
    )  # fmt: skip
    reconcile(now=NOW)
    payout.refresh_from_db()
    assert payout.state == "pending"
