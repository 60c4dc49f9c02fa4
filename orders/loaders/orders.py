"""The flow `orders`: what the pull engine hands over and how many orders of each day are there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from marketplaces.loaders import Loaded, Loader, LoadRun
from marketplaces.models import Account
from marketplaces.records import OrderRecord
from orders.selectors import days
from orders.services import ingest


def load(account: Account, records: Sequence[OrderRecord], *, run: LoadRun) -> Loaded:
    """Store a page of orders inside the engine's transaction."""
    done = ingest.ingest(
        account, records, now=run.now, raw_id=run.raw_id, has_buyers=not run.is_redacted,
        trusts_digest=not run.is_repair,
    )  # fmt: skip
    return Loaded(seen=done.seen, written=done.written, by_day=done.by_day, rejected=done.rejected)


def count_by_day(account: Account, since: date, until: date) -> dict[date, int]:
    """Orders by the day they were placed, at their site."""
    return days.placed(account, since=since, until=until)


orders = Loader(flow="orders", record=OrderRecord, load=load, count_by_day=count_by_day)
