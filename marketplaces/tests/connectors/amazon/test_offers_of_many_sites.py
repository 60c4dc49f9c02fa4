"""An account that sells on more sites than Amazon lets us ask for at once still gets all of its offers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from marketplaces.connectors.amazon import amazon, offers
from marketplaces.connectors.amazon.client import AmazonSession
from marketplaces.connectors.amazon.sites import BY_ID, SITES
from marketplaces.errors import Throttled, Unavailable
from marketplaces.http import HttpClient
from marketplaces.port import Credentials, Door, Priority, Window
from marketplaces.records import OfferRecord
from marketplaces.tests.connectors.doors import SECRETS, Tokens
from marketplaces.throttle import LocalLimiter

NOW = datetime(2026, 11, 1, tzinfo=UTC)
EUROPE = tuple(site for site in SITES if site.region == "eu")


class Europe:
    """Amazon with a listings report for each of its sites, and a clock that goes on only while somebody waits."""

    def __init__(self, server: HTTPServer) -> None:
        self.seconds = 0.0
        self.created: list[str] = []
        self.fetched: list[str] = []
        self.is_down_after = 99
        server.expect_request("/amazon/auth/o2/token").respond_with_json({"access_token": "Atza|x", "expires_in": 3600})
        server.expect_request("/amazon/eu/reports/2021-06-30/reports", method="POST").respond_with_handler(self._create)
        for site in EUROPE:
            ref = f"50020018{site.country}"
            state = {"reportId": ref, "processingStatus": "DONE", "reportDocumentId": f"doc-{ref}"}
            server.expect_request(f"/amazon/eu/reports/2021-06-30/reports/{ref}").respond_with_json(state)
            place = {"reportDocumentId": f"doc-{ref}", "url": server.url_for(f"/amazon/documents/{ref}")}
            server.expect_request(f"/amazon/eu/reports/2021-06-30/documents/doc-{ref}").respond_with_json(place)
            server.expect_request(f"/amazon/documents/{ref}").respond_with_handler(self._document)
        hosts = EUROPE[0].hosts_at(server.url_for(""))
        http = HttpClient(
            account="a", hosts=hosts.values(), limits=amazon.limits, limiter=LocalLimiter(lambda: self.seconds),
            priority=Priority.BULK, sleep=self.wait, clock=self.clock,
        )  # fmt: skip
        self.session = AmazonSession(
            Door(
                account_ref="a",
                sites=EUROPE,
                hosts=hosts,
                credentials=Credentials(SECRETS["amazon"]),
                http=http,
                tokens=Tokens(),
                clock=self.clock,
            )
        )

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def wait(self, seconds: float) -> None:
        self.seconds += seconds + 0.001  # or rounding keeps the last hair of a token away for ever

    def _create(self, request: Request) -> Response:
        (marketplace,) = json.loads(request.data)["marketplaceIds"]
        if len(self.created) >= self.is_down_after:
            return Response("", status=500)
        self.created.append(BY_ID[marketplace].country)
        return Response(json.dumps({"reportId": f"50020018{BY_ID[marketplace].country}"}), status=202)

    def _document(self, request: Request) -> Response:
        self.fetched.append(request.path[-2:])
        return Response("seller-sku\tprice\tquantity\tstatus\nA\t1.00\t5\tActive\n", content_type="text/plain")

    def asked(self) -> str:
        """Ask as the engine does: again whenever the budget allows the next step."""
        window, ref = Window(since=NOW, until=NOW), ""
        for _ in range(100):
            try:
                if not ref:
                    ref = offers.request(self.session, window)
                state = offers.poll(self.session, ref)
            except Throttled as error:
                self.wait(error.after.total_seconds())
                continue
            ref = state.report_ref or ref
            if state.status == "done":
                return state.document_ref
        raise AssertionError("the reports never come")

    def read(self, left: str) -> Iterator[OfferRecord]:
        """All offers, part by part."""
        for _ in range(100):
            try:
                page = offers.download(self.session, left)
            except Throttled as error:
                self.wait(error.after.total_seconds())
                continue
            yield from (x for x in offers.translate(page) if isinstance(x, OfferRecord))
            left = page.next_token
            if not left:
                return
        raise AssertionError("the documents never end")


@pytest.fixture
def europe(httpserver: HTTPServer) -> Europe:
    return Europe(httpserver)


def test_every_sites_report_is_asked_for_and_fetched_once(europe: Europe) -> None:
    found = list(europe.read(europe.asked()))
    countries = [site.country for site in EUROPE]
    assert len(countries) == 16
    assert (europe.created, europe.fetched) == (countries, countries)
    assert [offer.site for offer in found] == [site.code for site in EUROPE]


def test_a_site_switched_off_meanwhile_stops_no_other(europe: Europe) -> None:
    ref = europe.asked()
    left = tuple(site for site in EUROPE if site.country != "FR")
    europe.session.door = replace(europe.session.door, sites=left)
    assert offers.poll(europe.session, ref).status == "done"
    assert [offer.site for offer in europe.read(ref)] == [site.code for site in left]
    europe.session.door = replace(europe.session.door, sites=EUROPE[:1])
    assert list(europe.read("50020018FR@FR")) == []


def test_what_was_asked_for_is_kept_when_the_next_request_fails(europe: Europe) -> None:
    europe.is_down_after = 2
    ref = offers.request(europe.session, Window(since=NOW, until=NOW))
    assert ref.startswith("50020018DE@DE;50020018FR@FR;@IT;@ES")
    with pytest.raises(Unavailable):
        offers.poll(europe.session, ref)
    europe.is_down_after = 99
    state = offers.poll(europe.session, ref)
    assert (state.status, state.report_ref[:40]) == ("processing", "50020018DE@DE;50020018FR@FR;50020018IT@I")
    assert len(set(europe.created)) == len(europe.created)
