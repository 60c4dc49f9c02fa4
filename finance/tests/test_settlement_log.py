"""Settlements whose lines come by a transaction log: they wait, are booked whole, and take late lines as a revision."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.testing import statements
from finance.loaders.payouts import payouts
from finance.loaders.settlements import settlements
from finance.loaders.transactions import transactions
from finance.models import Payout, Settlement, SettlementLine, Transaction
from finance.selectors.settlements import is_balanced, sums_by_kind
from finance.services.reconcile import reconcile
from finance.services.reference import sync_reference
from finance.services.settlement_log import materialize_waiting
from finance.services.transactions import load_transactions
from finance.testing import NOW, account, logged, order, settlement
from finance.tests.test_settlements import tuples_written
from marketplaces.loaders import LoadRun
from marketplaces.models import Account, Stream
from marketplaces.records import PayoutRecord, SettlementRecord, TransactionRecord, TransactionState

pytestmark = pytest.mark.db

RUN = LoadRun(now=NOW, raw_id=5)
SALE = [
    logged("T1", "54.89", order_ref="B-1", order_line_ref="B-1-1"),
    logged("T2", "-6.59", "commission_fee", order_ref="B-1", order_line_ref="B-1-1"),
    logged("T3", "-0.66", "commission_vat", order_ref="B-1", order_line_ref="B-1-1"),
    logged("T4", "-47.64", "payment"),
]


@pytest.fixture
def bunnings(acting: Any) -> Account:
    """A Bunnings shop with its shipped rules and one order."""
    shop = account("bunnings-au", sites=["bunnings.com.au"])
    sync_reference("bunnings")
    order(shop, "B-1", lines=[("B-1-1", "SKU-1")], at="bunnings.com.au")
    return shop


def cycle(total: str = "47.64") -> SettlementRecord:
    """A billing cycle as its header states it."""
    return settlement(None, total, ref="C1", currency="AUD")


def say(shop: Account, *records: TransactionRecord) -> None:
    """The log tells these transactions."""
    transactions.load(shop, list(records), run=RUN)


def test_money_that_is_dated_anew_leaves_its_day(bunnings: Account) -> None:
    deferred = logged("T9", "20.00")
    released = replace(deferred, posted_at=deferred.posted_at + timedelta(days=9))
    day, other = (each.posted_at.astimezone(UTC).date() for each in (deferred, released))
    assert transactions.load(bunnings, [deferred], run=RUN).by_day == {day: 1}
    assert transactions.load(bunnings, [deferred], run=RUN).by_day == {}
    assert transactions.load(bunnings, [released], run=RUN).by_day == {day: -1, other: 1}
    payout = PayoutRecord(
        external_id="P1", settlement_ref="C1", amount=Decimal(5), currency="AUD", state="pending", paid_on=None
    )
    assert payouts.load(bunnings, [payout], run=RUN).by_day == {}
    failed = replace(payout, state="failed", paid_on=day)
    assert payouts.load(bunnings, [failed], run=RUN).by_day == {day: 1}
    paid = replace(payout, state="paid", paid_on=other)
    assert payouts.load(bunnings, [paid], run=RUN).by_day == {day: -1, other: 1}


def test_a_cycle_waits_until_its_transactions_add_up(bunnings: Account) -> None:
    settlements.load(bunnings, [cycle()], run=RUN)
    assert Settlement.objects.get().status == "waiting"
    say(bunnings, *SALE[:2])
    assert Settlement.objects.get().status == "waiting"
    assert not SettlementLine.objects.exists()
    say(bunnings, *SALE[2:])
    stored = Settlement.objects.get()
    assert (stored.status, stored.line_count, stored.lines_total) == ("loaded", 3, Decimal("47.64"))
    assert is_balanced(stored)
    assert sums_by_kind(stored) == {
        "item_price": Decimal("54.89"), "referral_fee": Decimal("-6.59"), "referral_fee_tax": Decimal("-0.66"),
    }  # fmt: skip
    assert set(SettlementLine.objects.values_list("order_line__external_id", "site")) == {("B-1-1", "bunnings.com.au")}


def test_the_header_may_come_after_its_transactions(bunnings: Account) -> None:
    say(bunnings, *SALE)
    assert not Settlement.objects.exists()
    settlements.load(bunnings, [cycle()], run=RUN)
    assert Settlement.objects.get().status == "loaded"


def test_a_log_read_past_the_end_shows_what_the_header_says_too_much(bunnings: Account) -> None:
    say(bunnings, *SALE)
    settlements.load(bunnings, [cycle("50.00")], run=RUN)
    assert Settlement.objects.get().status == "waiting"
    Stream.objects.create(account=bunnings, flow="transactions", complete_until=NOW)
    settlements.load(bunnings, [cycle("50.00")], run=RUN)
    stored = Settlement.objects.get()
    assert (stored.status, stored.difference) == ("inconsistent", Decimal("2.36"))
    assert is_balanced(stored)


def test_a_log_whose_last_page_was_empty_completes_a_cycle_at_the_next_reconciliation(bunnings: Account) -> None:
    settlements.load(bunnings, [cycle("50.00")], run=RUN)
    say(bunnings, *SALE)
    reconcile(now=NOW)
    assert Settlement.objects.get().status == "waiting"
    Stream.objects.create(account=bunnings, flow="transactions", complete_until=NOW)  # read on, nothing more was told
    reconcile(now=NOW)
    booked = Settlement.objects.get()
    assert (booked.status, booked.difference) == ("inconsistent", Decimal("2.36"))


def test_a_cycle_of_nothing_is_whole_once_the_log_was_read_beyond_it(bunnings: Account) -> None:
    settlements.load(bunnings, [cycle("0.00")], run=RUN)
    end = Settlement.objects.get().period_end
    assert end is not None
    stream = Stream.objects.create(account=bunnings, flow="transactions", complete_until=end + timedelta(hours=12))
    materialize_waiting(now=NOW)
    assert Settlement.objects.get().status == "waiting", "the log may still add to it"
    stream.complete_until = end + timedelta(hours=24)
    stream.save()
    for _again in range(2):
        materialize_waiting(now=NOW)
        stored = Settlement.objects.get()
        assert (stored.status, stored.line_count, stored.lines_total) == ("loaded", 0, Decimal(0))


def test_a_cycle_nothing_was_told_about_goes_on_waiting(bunnings: Account) -> None:
    Stream.objects.create(account=bunnings, flow="transactions", complete_until=NOW)
    settlements.load(bunnings, [cycle()], run=RUN)
    assert Settlement.objects.get().status == "waiting"
    assert not SettlementLine.objects.exists()


def test_a_late_transaction_makes_a_revision(bunnings: Account) -> None:
    Stream.objects.create(account=bunnings, flow="transactions", complete_until=NOW)
    settlements.load(bunnings, [cycle("42.64")], run=RUN)
    say(bunnings, *SALE)
    assert Settlement.objects.get().difference == Decimal("-5.00")
    say(bunnings, logged("T5", "-5.00", "seller_penalty_fee"))
    stored = Settlement.objects.get()
    assert (stored.status, stored.revision, stored.difference) == ("loaded", 2, 0)
    assert is_balanced(stored)


def test_the_same_pages_again_write_nothing(bunnings: Account) -> None:
    settlements.load(bunnings, [cycle()], run=RUN)
    say(bunnings, *SALE)
    before = tuples_written()
    again = [
        settlements.load(bunnings, [cycle()], run=RUN),
        transactions.load(bunnings, SALE, run=replace(RUN, raw_id=9)),
    ]
    assert tuples_written() == before
    assert [(loaded.written, dict(loaded.by_day)) for loaded in again] == [(0, {}), (0, {})]


def test_new_rows_are_counted_under_the_day_they_are_found_by(bunnings: Account) -> None:
    told = transactions.load(bunnings, SALE, run=RUN)
    told_settlement = settlements.load(bunnings, [cycle()], run=RUN)
    since, until = datetime(2026, 10, 1).date(), datetime(2026, 11, 1).date()
    assert transactions.count_by_day(bunnings, since, until) == told.by_day
    assert settlements.count_by_day(bunnings, since, until) == told_settlement.by_day
    assert sum(told.by_day.values()) == 4


def test_money_never_moves_back_from_released_to_deferred(bunnings: Account) -> None:
    released = replace(logged("D1", "9.00", ref=None), state=TransactionState.RELEASED, line=None)
    deferred = replace(released, state=TransactionState.DEFERRED, reason="DD7")
    load_transactions(bunnings, [released, deferred], raw_id=1, now=NOW)
    assert Transaction.objects.get().state == "released"
    load_transactions(bunnings, [deferred], raw_id=1, now=NOW)
    assert Transaction.objects.get().state == "released"
    load_transactions(bunnings, [replace(released, state=TransactionState.SETTLED)], raw_id=1, now=NOW)
    assert Transaction.objects.get().state == "settled"


def test_a_payout_moves_from_pending_to_paid(bunnings: Account) -> None:
    pending = PayoutRecord(
        external_id="C1", settlement_ref="C1", amount=Decimal("47.64"), currency="AUD", state="pending", paid_on=None
    )
    payouts.load(bunnings, [pending], run=RUN)
    paid = replace(pending, state="paid", paid_on=NOW.date(), reference="BANK-1")
    assert payouts.load(bunnings, [paid], run=RUN).written == 1
    assert Payout.objects.get().reference == "BANK-1"
    assert payouts.load(bunnings, [paid], run=RUN).written == 0
    assert payouts.load(bunnings, [pending], run=RUN).written == 0, "read again, an old page says nothing new"
    assert payouts.load(bunnings, [paid, pending], run=RUN).written == 0
    sent_back = replace(paid, state="failed", paid_on=None, failure="account closed")
    assert payouts.load(bunnings, [sent_back], run=RUN).written == 1
    assert payouts.load(bunnings, [pending, paid], run=RUN).written == 1
    assert Payout.objects.get().state == "paid"


def test_the_header_of_a_shop_with_listed_payouts_announces_none(bunnings: Account) -> None:
    settlements.load(bunnings, [cycle()], run=RUN)
    assert not Payout.objects.exists()


def test_one_refused_statement_leaves_its_neighbors_alone(bunnings: Account) -> None:
    say(bunnings, *SALE)
    strange = replace(cycle(), settlement_ref="C2", currency="XX1")
    loaded = settlements.load(bunnings, [strange, cycle()], run=RUN)
    assert [(each.external_id, each.reason) for each in loaded.rejected] == [("C2", "'XX1' is not a currency code.")]
    assert list(Settlement.objects.values_list("settlement_ref", "status")) == [("C1", "loaded")]


def test_statements_do_not_grow_with_the_transactions(bunnings: Account) -> None:
    counts = []
    for size in (20, 2000):
        ref = f"C{size}"
        records = [logged(f"{ref}-{n}", "1.00", ref=ref, order_ref=f"B-{n}") for n in range(size)]
        settlements.load(bunnings, [replace(cycle(f"{size}.00"), settlement_ref=ref)], run=RUN)
        with CaptureQueriesContext(connection) as queries:
            say(bunnings, *records)
        counts.append(statements(queries))
    assert abs(counts[0] - counts[1]) <= 4  # from a hundred rows on, rows are copied instead of sent as values
    assert SettlementLine.objects.count() == 2020


def test_a_cycle_still_within_a_day_of_its_end_is_given_time(bunnings: Account) -> None:
    end = datetime(2026, 10, 26, tzinfo=UTC)
    stream = Stream.objects.create(account=bunnings, flow="transactions", complete_until=end + timedelta(hours=23))
    say(bunnings, *SALE)
    settlements.load(bunnings, [cycle("50.00")], run=RUN)
    assert Settlement.objects.get().status == "waiting"
    Stream.objects.filter(pk=stream.pk).update(complete_until=end + timedelta(hours=24))
    settlements.load(bunnings, [cycle("50.00")], run=RUN)
    assert Settlement.objects.get().status == "inconsistent"
