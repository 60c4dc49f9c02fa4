"""Reports a marketplace makes by itself: found page by page, each loaded once, and again only when asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from catalog.models import Listing
from marketplaces.errors import Unavailable
from marketplaces.models import Account, Quarantined, ReportJob, Stream
from marketplaces.port import Door, Flow, RawPage, ReportFound, Reports, ReportState, Window
from marketplaces.records import OfferRecord
from marketplaces.registry import connectors
from marketplaces.services.pull import pull_stream
from marketplaces.tests.support import NOW, Toy, translate_offers


class Shelf:
    """The reports that lie ready, two to a page of the list; `broken` ones cannot be fetched."""

    def __init__(self) -> None:
        self.refs = ["A", "B", "C"]
        self.broken: set[str] = set()
        self.loaded: list[str] = []
        self.never_ends = False
        self.status, self.later = "done", "processing"
        self.period: tuple[datetime | None, datetime | None] = (None, None)

    def discover(self, door: Door, window: Window, token: str) -> tuple[list[ReportFound], str]:
        start = int(token or 0)
        found = [
            ReportFound(
                report_ref=ref,
                document_ref=f"{ref}-document",
                since=self.period[0],
                until=self.period[1],
                status=self.status,
            )
            for ref in self.refs[start : start + 2]
        ]
        following = "0" if self.never_ends else str(start + 2) if start + 2 < len(self.refs) else ""
        return found, following

    def poll(self, door: Door, ref: str) -> ReportState:
        assert self.status != "done", "a finished report is not asked after"
        return ReportState(status=self.later)

    def download(self, door: Door, document_ref: str) -> RawPage:
        if document_ref[0] in self.broken:
            raise Unavailable("The document is not there at the moment.")
        self.loaded.append(document_ref[0])
        return RawPage(
            body=f"SKU-{document_ref[0]};19.90".encode(), content_type="text/csv",
            context={"seen_at": NOW.isoformat()}, name=document_ref,
        )  # fmt: skip

    def flow(self) -> Flow:
        """Offers, as if they came in reports made every week."""
        return Flow(
            reports=Reports(discover=self.discover, poll=self.poll, download=self.download),
            translate=translate_offers, record=OfferRecord, cadence="0 * * * *", freshness=timedelta(hours=4),
            window=timedelta(days=30), lag=timedelta(0), history=timedelta(days=10),
        )  # fmt: skip


@pytest.fixture
def shelf(toy: Toy) -> Shelf:
    """The toy marketplace gives its offers in reports of its own making."""
    made = Shelf()
    connectors["toy"] = replace(connectors["toy"], offers=made.flow())
    return made


def pull(account: Account, *, now=NOW, **how):
    return pull_stream(account, "offers", now=now, sleep=lambda seconds: None, **how)


def test_every_report_of_every_page_of_the_list_is_loaded_once(shelf: Shelf, account: Account):
    assert pull(account).state == "done"
    assert (sorted(shelf.loaded), Listing.objects.count()) == (["A", "B", "C"], 3)
    assert Stream.objects.get(account=account, flow="offers").complete_until == NOW
    shelf.refs.append("D")
    pull(account, now=NOW + timedelta(hours=1))
    assert sorted(shelf.loaded) == ["A", "B", "C", "D"]


def test_a_window_asked_for_again_loads_its_reports_again(shelf: Shelf, account: Account):
    pull(account)
    pull(account, since=NOW - timedelta(days=9))
    assert sorted(shelf.loaded) == ["A", "A", "B", "B", "C", "C"]


def test_one_report_that_cannot_be_fetched_leaves_the_others(shelf: Shelf, account: Account):
    shelf.broken = {"B"}
    result = pull(account)
    assert (result.state, result.error) == ("failed", "The document is not there at the moment.")
    assert sorted(shelf.loaded) == ["A", "C"]
    job = ReportJob.objects.get(report_ref="B")
    assert (job.status, job.attempts, job.message) == ("ready", 0, "The document is not there at the moment.")
    shelf.broken = set()
    assert pull(account, now=NOW + timedelta(hours=2)).state == "done"
    assert sorted(shelf.loaded) == ["A", "B", "C"]


def test_a_report_the_marketplace_is_long_in_making_is_waited_for(shelf: Shelf, account: Account):
    shelf.status = "processing"
    assert pull(account).state == "waiting"
    for hours in range(1, 31):
        assert pull(account, now=NOW + timedelta(hours=hours)).state == "waiting"
    shelf.later = "done"
    assert pull(account, now=NOW + timedelta(hours=31)).state == "done"
    assert sorted(shelf.loaded) == ["A", "B", "C"]


@pytest.mark.parametrize("length", [timedelta(0), timedelta(hours=-1)])
def test_a_period_that_is_none_stops_no_report(shelf: Shelf, account: Account, length: timedelta):
    shelf.period = (NOW - timedelta(days=7), NOW - timedelta(days=7) + length)
    assert pull(account).state == "done"
    assert sorted(shelf.loaded) == ["A", "B", "C"]


@pytest.mark.parametrize("when", ["listed", "looked after"])
def test_a_report_the_marketplace_could_not_make_is_named(shelf: Shelf, account: Account, when: str):
    shelf.refs = ["A"]
    shelf.status = "failed" if when == "listed" else "processing"
    shelf.later = "failed"
    states = [pull(account, now=NOW + timedelta(hours=hours)).state for hours in (0, 1, 2)]
    assert states.count("failed") == 1 and states[-1] == "done"
    item = Quarantined.objects.get()
    assert (item.path, item.external_id) == ("report", "A")
    assert item.reason == "The marketplace could not make the report."


def test_a_list_whose_page_mark_comes_again_is_an_error_in_words(shelf: Shelf, account: Account):
    shelf.never_ends = True
    result = pull(account)
    assert result.state == "failed"
    assert result.error == "The marketplace repeats its page mark; following it would never end."
    assert Stream.objects.get(account=account, flow="offers").complete_until is None
