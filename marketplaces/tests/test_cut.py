"""Answers cut at every byte: nothing that is not whole is ever taken for whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from marketplaces.connectors.amazon.settlements import translate
from marketplaces.errors import BorderError, Malformed, Unavailable
from marketplaces.http import HttpClient
from marketplaces.port import RawPage
from marketplaces.records import Rejected, SettlementLineRecord
from marketplaces.sandbox.server import _Connection as Connection
from marketplaces.sandbox.server import _Server, start
from marketplaces.sandbox.wire.http import Delivery, Request, Response, json_response
from marketplaces.throttle import LocalLimiter

PAGE = json.dumps(
    {"orders": [{"orderId": f"302-{n:07}", "total": n * 1.01, "buyer": "Zoë\n"} for n in range(30)], "next": ""}
).encode()
NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def settlement() -> bytes:
    """One small settlement file as Amazon's American stores write it."""
    from marketplaces.sandbox.wire.amazon_reports import _issued
    from marketplaces.sandbox.wire.settlement_file import settlement_file
    from marketplaces.sandbox.world.places import ACCOUNTS

    with start(seed=1, orders=60, days=60, skus=20, now=NOW, faults="none") as sandbox:
        files = [settlement_file(x.statement, x.revision) for x in _issued(sandbox.state, ACCOUNTS["amazon-us"])]
    return min((file for file in files if file.count(b"\n") > 6), key=len)


@pytest.fixture(scope="module")
def server(settlement: bytes) -> Iterator[str]:
    """Serves `/<page|report>/<framing>/<cut>`: both as long as they are, or cut."""

    def answer(request: Request) -> Response:
        _, what, framing, cut = request.path.split("/")
        whole = json_response({}) if what == "page" else Response(headers={"Content-Type": "text/plain"})
        return Response(
            headers=whole.headers,
            body=PAGE if what == "page" else settlement,
            delivery=Delivery(framing=framing, cut=int(cut) if cut else None),
        )

    running = _Server(("127.0.0.1", 0), Connection)
    running.handler, running.clock = answer, lambda: NOW  # type: ignore[assignment]
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("what", ["page", "report"])
@pytest.mark.parametrize(
    "framing",
    ["length", pytest.param("chunked", marks=pytest.mark.fault), pytest.param("close", marks=pytest.mark.fault)],
)
@pytest.mark.scenario("A4", "An answer is cut at every byte on its way")
def test_an_answer_cut_on_its_way_is_never_taken(
    server: str, settlement: bytes, what: str, framing: str, record_fault: Any
):
    whole = PAGE if what == "page" else settlement
    client = HttpClient(account="t", hosts=[server], limits={}, limiter=LocalLimiter(), deadline=20)
    full = None
    if framing != "close" or what == "page":
        full = client.request("GET", f"{server}/{what}/{framing}/", operation="read")
        assert full.body == whole
    taken = 0
    for cut in range(len(whole)):
        try:
            answer = client.request("GET", f"{server}/{what}/{framing}/{cut}", operation="read")
            taken += what == "report" or bool(answer.json())
        except (Unavailable, Malformed):
            continue
    assert taken == 0
    record_fault(f"{len(whole)} cuts of a {what}, its end told by: {framing}", partly_taken=taken)


@pytest.mark.scenario("A4", "A settlement file lacks its end, and nothing on the way shows it")
def test_a_settlement_without_its_end_is_refused_or_does_not_add_up(settlement: bytes, record_fault: Any):
    def read(body: bytes) -> list[SettlementLineRecord] | None:
        """The lines, None if the file is refused or its lines miss its total."""
        (record,) = translate(RawPage(body=body, content_type="text/plain", next_token="", name="cut"))
        if isinstance(record, Rejected):
            return None
        try:
            lines = list(record.lines)
        except BorderError:
            return None
        return lines if sum((line.amount for line in lines), Decimal(0)) == record.total else None

    whole = read(settlement)
    assert whole
    taken = [cut for cut in range(len(settlement)) if (lines := read(settlement[:cut])) is not None and lines != whole]
    assert taken == []
    record_fault(f"{len(settlement)} cuts of one file", taken=len(taken))
