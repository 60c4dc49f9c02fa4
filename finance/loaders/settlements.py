"""Statements of the marketplaces: each is booked whole or refused whole, and its neighbors go on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date

from django.db import DataError

from finance.selectors.settlements import settlements_by_day
from finance.services.settlement_log import materialize
from finance.services.settlements import SettlementRefused, ingest
from marketplaces.errors import Malformed
from marketplaces.loaders import Loaded, Loader, LoadRun
from marketplaces.models import Account
from marketplaces.records import Rejected, SettlementRecord


def load(account: Account, records: list[SettlementRecord], *, run: LoadRun) -> Loaded:
    """Book each statement; then those whose lines come by the transaction log, as far as it has told them."""
    by_day: Counter[date] = Counter()
    rejected: list[Rejected] = []
    doubts: list[str] = []
    written = 0
    for record in records:
        try:
            result = ingest(account, record, raw_id=run.raw_id, source="api", now=run.now)
        except (Malformed, SettlementRefused, DataError) as error:
            rejected.append(_rejected(record, error))
            continue
        written += result.inserted + result.is_new
        if result.changed and result.difference:
            doubts.append(f"{result.settlement_ref} {result.line_count} {result.difference}")
        if result.is_new and record.period_end is not None:
            by_day[record.period_end.astimezone(UTC).date()] += 1
    logged = [record.settlement_ref for record in records if record.lines is None]
    if logged:
        written += sum(booked.inserted for booked in materialize(account, refs=logged, now=run.now))
    return Loaded(seen=len(records), written=written, by_day=dict(by_day), rejected=rejected, doubts=doubts)


def _rejected(record: SettlementRecord, error: Exception) -> Rejected:
    path = f"settlement {record.settlement_ref}"
    if isinstance(error, Malformed) and error.path:
        path = f"{path}: {error.path}"
    reason = error.message if isinstance(error, Malformed | SettlementRefused) else str(error)
    return Rejected(path=path, reason=reason, excerpt=b"", external_id=record.settlement_ref)


settlements = Loader(flow="settlements", record=SettlementRecord, load=load, count_by_day=settlements_by_day)
