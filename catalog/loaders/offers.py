"""The flow `offers`: what the pull engine hands over. It is a snapshot of now, so no day can be missing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from catalog.services import listings
from marketplaces.loaders import Loaded, Loader, LoadRun
from marketplaces.models import Account
from marketplaces.records import OfferRecord


def load(account: Account, records: Sequence[OfferRecord], *, run: LoadRun) -> Loaded:
    """Store a page of offers inside the engine's transaction."""
    done = listings.ingest(account, records, now=run.now, raw_id=run.raw_id)
    return Loaded(seen=done.seen, written=done.written, by_day={}, rejected=done.rejected)


def count_by_day(account: Account, since: date, until: date) -> dict[date, int]:
    """Nothing: offers belong to no day."""
    return {}


offers = Loader(flow="offers", record=OfferRecord, load=load, count_by_day=count_by_day)
