"""Money a marketplace has booked but not settled, and the transfers it announces, as they are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from domventas.core import bulk
from domventas.core.bulk import Upserted
from finance.models import Payout, Transaction
from finance.services.settlement_log import materialize
from marketplaces.loaders import moves
from marketplaces.models import Account
from marketplaces.records import PayoutRecord, TransactionRecord, TransactionState

_TRANSACTION: Final = (
    "account",
    "external_id",
    "state",
    "event",
    "amount",
    "currency",
    "posted_at",
    "release_at",
    "reason",
    "settlement_ref",
    "site",
    "order_ref",
    "order_line_ref",
    "refund_ref",
    "raw_type",
    "seller_sku",
    "quantity",
    "description",
    "raw_id",
)
_PAYOUT: Final = (
    "account",
    "external_id",
    "settlement_ref",
    "amount",
    "currency",
    "state",
    "paid_on",
    "reference",
    "failure",
)


#: Money only moves on: an older page never sets a released amount back to deferred.
_RANK: Final = {
    TransactionState.UNKNOWN.value: 0,
    TransactionState.DEFERRED.value: 1,
    TransactionState.RELEASED.value: 2,
    TransactionState.SETTLED.value: 3,
}


def load_transactions(
    account: Account, records: Sequence[TransactionRecord], *, raw_id: int | None, now: datetime
) -> tuple[Upserted, dict[date, int]]:
    """Store transactions by their own id; where they are a settlement's lines, book what is now complete.

    Of several tellings of one transaction the one furthest on counts, in the page and against what is stored. Returns
    what was written and how many were new by the day they were posted [UTC], less those that left a day for another.
    """
    latest: dict[str, TransactionRecord] = {}
    for record in records:
        known = latest.get(record.external_id)
        if known is None or _RANK[record.state.value] >= _RANK[known.state.value]:
            latest[record.external_id] = record
    told = Transaction.objects.filter(account=account, external_id__in=list(latest))
    before = {row[0]: row[1:] for row in told.values_list("external_id", "state", "settlement_ref", "posted_at")}
    stored = {external_id: state for external_id, (state, _ref, _posted_at) in before.items()}
    wanted = [
        record
        for record in latest.values()
        if _RANK[record.state.value] >= _RANK[stored.get(record.external_id, TransactionState.UNKNOWN.value)]
    ]
    rows = (_transaction(account, record, raw_id) for record in wanted)
    compare = [name for name in _TRANSACTION if name not in {"account", "external_id", "raw_id"}]
    result = bulk.upsert(
        Transaction, _TRANSACTION, rows, ("account", "external_id"), compare=compare, extra={"is_seen": False}
    )
    by_day = moves(
        {ref: _day(posted_at) for ref, (_state, _ref, posted_at) in before.items()},
        {record.external_id: _day(record.posted_at) for record in wanted},
    )
    refs = {record.settlement_ref for record in wanted if record.line and record.settlement_ref}
    # A transaction that has moved leaves the settlement it stood in, or its money would count in both.
    refs |= {
        ref
        for record in wanted
        if record.line
        and record.external_id in before
        and (ref := before[record.external_id][1])
        and ref != (record.settlement_ref or "")
    }
    if refs:
        materialize(account, refs=sorted(refs), now=now)
    return result, by_day


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


def _transaction(account: Account, record: TransactionRecord, raw_id: int | None) -> tuple[Any, ...]:
    line = record.line
    return (
        account.pk,
        record.external_id,
        record.state.value,
        record.event.value,
        record.amount,
        record.currency,
        record.posted_at,
        record.release_at,
        record.reason[:120],
        record.settlement_ref or "",
        record.site or (line.site if line else None) or "",
        record.order_ref or "",
        record.order_line_ref or "",
        (line.refund_ref if line else None) or "",
        line.raw_type if line else "",
        (line.seller_sku if line else None) or "",
        line.quantity if line else None,
        line.description[:300] if line else "",
        raw_id,
    )


def load_payouts(account: Account, records: Sequence[PayoutRecord]) -> tuple[Upserted, dict[date, int]]:
    """Store transfers by their own id. Returns what was written and how many were new by the day they were paid, less
    those that left a day for another.

    What was paid is pending no more, whatever an older page says; it may still fail, when the bank sends it back.
    """
    refs = {record.external_id for record in records}
    told = Payout.objects.filter(account=account, external_id__in=refs)
    stored = {row[0]: row[1:] for row in told.values_list("external_id", "state", "paid_on")}
    paid = {ref for ref, (state, _day) in stored.items() if state == Payout.State.PAID}
    latest: dict[str, PayoutRecord] = {}
    for record in records:
        if record.state != Payout.State.PENDING or record.external_id not in paid:
            latest[record.external_id] = record
        if record.state == Payout.State.PAID:
            paid.add(record.external_id)
    by_day = moves(
        {ref: paid_on for ref, (_state, paid_on) in stored.items()},
        {ref: record.paid_on for ref, record in latest.items()},
    )
    rows = (
        (
            account.pk,
            record.external_id,
            record.settlement_ref or "",
            record.amount,
            record.currency,
            record.state,
            record.paid_on,
            record.reference[:120],
            record.failure[:200],
        )
        for record in latest.values()
    )
    return bulk.upsert(Payout, _PAYOUT, rows, ("account", "external_id")), by_day
