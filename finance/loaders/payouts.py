"""Transfers to the client's bank, where a marketplace lists them."""

from __future__ import annotations

from finance.selectors.settlements import payouts_by_day
from finance.services.transactions import load_payouts
from marketplaces.loaders import Loaded, Loader, LoadRun
from marketplaces.models import Account
from marketplaces.records import PayoutRecord


def load(account: Account, records: list[PayoutRecord], *, run: LoadRun) -> Loaded:
    """Store a page of payouts."""
    result, by_day = load_payouts(account, records)
    return Loaded(seen=len(records), written=result.inserted + result.updated, by_day=by_day, rejected=[])


payouts = Loader(flow="payouts", record=PayoutRecord, load=load, count_by_day=payouts_by_day)
