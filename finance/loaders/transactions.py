"""Money booked but not settled; where the log is a settlement's lines, the settlements it completes are booked."""

from __future__ import annotations

from finance.selectors.settlements import transactions_by_day
from finance.services.transactions import load_transactions
from marketplaces.loaders import Loaded, Loader, LoadRun
from marketplaces.models import Account
from marketplaces.records import TransactionRecord


def load(account: Account, records: list[TransactionRecord], *, run: LoadRun) -> Loaded:
    """Store a page of transactions."""
    result, by_day = load_transactions(account, records, raw_id=run.raw_id, now=run.now)
    return Loaded(seen=len(records), written=result.inserted + result.updated, by_day=by_day, rejected=[])


transactions = Loader(flow="transactions", record=TransactionRecord, load=load, count_by_day=transactions_by_day)
