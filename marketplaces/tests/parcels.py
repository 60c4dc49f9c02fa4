"""A marketplace of our own that takes parcels over real HTTP, counts each that took effect, and loses answers to order.

Telling it twice ships twice: nothing here is idempotent, and what it has taken may stay invisible for some readings.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from marketplaces.commands import Outcome, Push, Sent, ShipmentCommand, ShippedLine
from marketplaces.errors import Refused
from marketplaces.port import Door

START = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Clock:
    """The time of day, moved by the test."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass
class Parcels:
    """What the marketplace holds and how it misbehaves.

    Attributes:
        faults: one per POST, in order: ok, before (connection ends, nothing done), after (done, connection ends),
            500 (done, answered 500), 503 (not done), 429, 401, 403, refuse.
        lag: so many readings do not yet show a parcel.
        took: parcels that took effect, by order. asked: every request, in order.
    """

    faults: list[str] = field(default_factory=list)
    lag: int = 0
    down: bool = False
    took: Counter[str] = field(default_factory=Counter)
    refs: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    readings: Counter[str] = field(default_factory=Counter)
    url: str = ""

    def post(self, order: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Take a parcel; None = end the connection."""
        fault = self.faults.pop(0) if self.faults else "ok"
        if fault == "refuse":
            return 422, {"message": "The carrier is not known here."}
        if fault in ("429", "401", "403", "503"):
            return int(fault), {}
        if fault != "before":
            self.took[order] += 1
            self.refs[order] = body["ref"]
        if fault in ("before", "after"):
            return None
        return (500 if fault == "500" else 201), {"id": f"P-{order}"}

    def get(self, order: str) -> tuple[int, dict[str, Any]]:
        """The order as a reading shows it."""
        if self.down:
            return 503, {}
        self.readings[order] += 1
        seen = self.took[order] and self.readings[order] > self.lag
        return 200, {"ref": self.refs[order] if seen else None}

    def answer(self, method: str, order: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        self.asked.append((method, order))
        if method == "POST":
            return self.post(order, json.loads(body))
        return self.get(order)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    parcels: Parcels

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.parcels.answer(self.command, self.path.rsplit("/", 1)[1], body)
        if answer is None:
            self.close_connection = True
            return
        status, told = answer
        sent = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def serving(parcels: Parcels) -> Iterator[Parcels]:
    """The marketplace on a free port."""
    handler = type("Handler", (_Handler,), {"parcels": parcels})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    parcels.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield parcels
    finally:
        server.shutdown()
        server.server_close()


def send(door: Door, command: ShipmentCommand) -> Sent:
    """Tell a parcel."""
    try:
        answer = door.http.request(
            "POST", f"{door.hosts['api']}/{command.order_ref}", operation="ship", json={"ref": command.ref}
        )
    except Refused as error:
        return Sent(outcome=Outcome.REFUSED, message=json.loads(error.excerpt)["message"])
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=answer.json()["id"])


def read_back(door: Door, command: ShipmentCommand) -> Sent | None:
    """Whether the order shows our parcel."""
    answer = door.http.request("GET", f"{door.hosts['api']}/{command.order_ref}", operation="look")
    return Sent(outcome=Outcome.ACCEPTED) if answer.json()["ref"] == command.ref else None


PUSH = Push(send=send, read_back=read_back, idempotent=False, settles=timedelta(minutes=3))


def command(number: int = 1, **values: Any) -> ShipmentCommand:
    """A parcel with one piece of order O-<number>."""
    plain: dict[str, Any] = {
        "ref": str(100 + number), "site": "toy.example", "order_ref": f"O-{number}",
        "lines": (ShippedLine(line_ref="1", quantity=1),), "carrier": "DHL", "carrier_name": "DHL",
        "tracking_number": f"JD{number:04}", "shipped_at": START,
    }  # fmt: skip
    return ShipmentCommand(**(plain | values))
