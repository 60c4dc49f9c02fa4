"""Snapshots that take many turns, because the limits allow a page now and then: gone on with, not begun anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from catalog.models import Listing
from marketplaces.errors import Throttled
from marketplaces.models import Account, Stream
from marketplaces.port import Door, Flow, RawPage, Window
from marketplaces.records import OfferRecord
from marketplaces.registry import connectors
from marketplaces.services.pull import pull_stream
from marketplaces.tests.support import NOW, Toy, translate_offers

PAGES = 30


class Slow:
    """A list of offers of which the budget allows one page per reading."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.allowed = 0

    def fetch(self, door: Door, window: Window, token: str) -> RawPage:
        if not self.allowed:
            raise Throttled("slowly", after=timedelta(minutes=5))
        self.allowed -= 1
        self.asked.append(token)
        number = int(token or 0)
        return RawPage(
            body=f"SKU-{number};1.00".encode(), content_type="text/csv", context={"seen_at": NOW.isoformat()},
            next_token=str(number + 1) if number + 1 < PAGES else "",
        )  # fmt: skip


@pytest.fixture
def slow(toy: Toy) -> Slow:
    """The toy marketplace lists its offers page by page."""
    made = Slow()
    flow = Flow(
        fetch=made.fetch, translate=translate_offers, record=OfferRecord, cadence="0 * * * *",
        freshness=timedelta(hours=4), snapshot=True,
    )  # fmt: skip
    connectors["toy"] = replace(connectors["toy"], offers=flow)
    return made


def read(slow: Slow, account: Account, *, after: timedelta) -> str:
    slow.allowed = 1
    return pull_stream(account, "offers", now=NOW + after, sleep=lambda seconds: None).state


def test_a_snapshot_longer_than_an_hour_comes_to_its_end(slow: Slow, account: Account):
    states = [read(slow, account, after=timedelta(minutes=5) * turn) for turn in range(PAGES)]
    assert states == ["waiting"] * (PAGES - 1) + ["done"]
    assert slow.asked == ["", *map(str, range(1, PAGES))]
    assert Listing.objects.count() == PAGES
    assert Stream.objects.get(account=account, flow="offers").complete_until == NOW + timedelta(minutes=5) * (PAGES - 1)


def test_a_snapshot_nobody_went_on_with_is_begun_anew(slow: Slow, account: Account):
    read(slow, account, after=timedelta(0))
    read(slow, account, after=timedelta(minutes=5))
    read(slow, account, after=timedelta(hours=2))
    assert slow.asked == ["", "1", ""]
