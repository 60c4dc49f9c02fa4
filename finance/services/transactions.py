"""Money a marketplace has booked but not settled, and the transfers it announces, as they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db.models import QuerySet

from domventas.core import bulk
from domventas.core.bulk import Upserted
from finance.models import Payout, Transaction
from finance.services.settlement_log import materialize
from marketplaces.models import Account
from marketplaces.records import PayoutRecord, TransactionRecord

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


def load_transactions(
    account: Account, records: Sequence[TransactionRecord], *, raw_id: int | None, now: datetime
) -> tuple[Upserted, dict[date, int]]:
    """Store transactions by their own id; where they are a settlement's lines, book what is now complete.

    A transaction told twice in one page counts in the state told last. Returns what was written and how many were new
    by the day they were posted [UTC].
    """
    latest = {record.external_id: record for record in records}
    by_day = _new_days(
        Transaction.objects.filter(account=account),
        {ref: record.posted_at.astimezone(UTC).date() for ref, record in latest.items()},
    )
    rows = (_transaction(account, record, raw_id) for record in latest.values())
    compare = [name for name in _TRANSACTION if name not in {"account", "external_id", "raw_id"}]
    result = bulk.upsert(Transaction, _TRANSACTION, rows, ("account", "external_id"), compare=compare)
    refs = {record.settlement_ref for record in latest.values() if record.line and record.settlement_ref}
    if refs:
        materialize(account, refs=sorted(refs), now=now)
    return result, by_day


def _new_days(stored: QuerySet[Transaction] | QuerySet[Payout], days: Mapping[str, date | None]) -> dict[date, int]:
    """How many of the ids are not stored yet, by their day; called before they are stored."""
    known = set(stored.filter(external_id__in=list(days)).values_list("external_id", flat=True))
    return dict(Counter(day for ref, day in days.items() if ref not in known and day is not None))


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
    """Store transfers by their own id. Returns what was written and how many were new by the day they were paid."""
    latest = {record.external_id: record for record in records}
    by_day = _new_days(Payout.objects.filter(account=account), {ref: record.paid_on for ref, record in latest.items()})
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
