"""What every connector that writes back must keep to: told once, found again, refused in words, lost answers named."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request as Ask
from urllib.request import urlopen

import jsonschema
import pytest
import yaml
from pytest_httpserver import HTTPServer
from werkzeug import Response

from marketplaces.commands import Outcome, Push, ShipFrom, ShipmentCommand, ShippedLine, packed, shipment
from marketplaces.connectors.amazon import amazon
from marketplaces.connectors.bunnings import bunnings
from marketplaces.connectors.otto import otto
from marketplaces.errors import BorderError, Refused, Throttled, Unauthorized, Unavailable
from marketplaces.port import Connector
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.wire.shipping import shipments_told
from marketplaces.tests.connectors.doors import NOW, RecordingHttp, door

CONNECTORS = [pytest.param(c, id=c.name) for c in (amazon, bunnings, otto)]
SITES = {
    "amazon": ("amazon-eu", "MERCHANT"),
    "bunnings": ("bunnings-au", "MERCHANT"),
    "otto": ("otto-de", "MERCHANT"),
}
LAST_CALL = {"amazon": "shipmentConfirmation", "bunnings": "/ship", "otto": "/v1/shipments"}
WORDS = {"amazon": "more than is left", "bunnings": "does not exist", "otto": "The carrier is not known"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=3, orders=2500, days=30, now=NOW, faults="none", speed=1e6) as running:
        yield running


def push_of(connector: Connector) -> Push:
    assert connector.shipments is not None
    return connector.shipments


def waiting(sandbox: Sandbox, connector: Connector, *, number: int = 0) -> ShipmentCommand:
    """A parcel with everything of an order that waits for its seller; each call takes another order."""
    account, owner = SITES[connector.name]
    found = [
        order
        for order in sandbox.state.world.orders[account]
        if order.confirmed_at <= NOW - timedelta(hours=1)
        and order.fulfilled_by == owner
        and not order.packages
        and not order.tracking
        and not order.cancelled_at
        and not any(x.cancelled_at or (x.shipped_at and x.shipped_at <= NOW) for x in order.lines)
    ]
    order = found[number]
    lines = tuple(ShippedLine(line_ref=x.ref, quantity=x.quantity) for x in order.lines)
    carrier = connector.reference("carriers")[0]
    return ShipmentCommand(
        ref="4711", site=order.site, order_ref=order.ref, lines=lines, carrier=carrier["code"],
        carrier_name=carrier["name"], tracking_number=f"JD{order.ref[-4:]}", shipped_at=NOW - timedelta(minutes=30),
        ship_from=ShipFrom(city="Bremen", postal_code="28217", country="DE"), return_carrier=carrier["return_code"],
        return_tracking=f"R{order.ref[-4:]}" if carrier["return_code"] else "",
    )  # fmt: skip


def session_of(connector: Connector, sandbox: Sandbox) -> Any:
    return connector.open(door(connector, sandbox.url))


def drop(sandbox: Sandbox, path: str, when: str) -> None:
    body = json.dumps({"path": path, "when": when}).encode()
    urlopen(Ask(f"{sandbox.url}/__sandbox/drops", data=body, method="POST"), timeout=30).close()


def told(sandbox: Sandbox, command: ShipmentCommand) -> dict[str, tuple[int, int]]:
    """Pieces confirmed and tellings that took effect, by line."""
    rows = [row for row in shipments_told(sandbox.state) if row["order"] == command.order_ref]
    return {row["line"]: (row["confirmed"], row["confirmations"]) for row in rows}


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_parcel_is_told_once_and_found_again(connector: Connector, sandbox: Sandbox) -> None:
    command, session, push = waiting(sandbox, connector), session_of(connector, sandbox), push_of(connector)
    assert push.read_back(session, command) is None
    assert push.send(session, command).outcome is Outcome.ACCEPTED
    found = push.read_back(session, command)
    assert found is not None and found.outcome is Outcome.ACCEPTED
    assert told(sandbox, command) == {line.line_ref: (line.quantity, 1) for line in command.lines}


@pytest.mark.parametrize("connector", CONNECTORS)
def test_telling_it_again_ships_nothing_twice(connector: Connector, sandbox: Sandbox) -> None:
    command, session, push = waiting(sandbox, connector), session_of(connector, sandbox), push_of(connector)
    push.send(session, command)
    again = push.send(session, command)
    assert push.idempotent
    assert told(sandbox, command) == {line.line_ref: (line.quantity, 1) for line in command.lines}
    if again.outcome is Outcome.REFUSED:  # then the look has to say that it was done
        found = push.read_back(session, command)
        assert found is not None and found.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("when", ["after", "before"])
@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_lost_answer_is_said_to_be_lost_and_the_look_tells(connector: Connector, sandbox: Sandbox, when: str) -> None:
    command, session, push = waiting(sandbox, connector), session_of(connector, sandbox), push_of(connector)
    drop(sandbox, LAST_CALL[connector.name], when)
    with pytest.raises(Unavailable):
        push.send(session, command)
    found = push.read_back(session, command)
    assert (found is None) == (when == "before")


def test_mirakls_first_call_may_be_lost_too(sandbox: Sandbox) -> None:
    command, session, push = waiting(sandbox, bunnings), session_of(bunnings, sandbox), push_of(bunnings)
    drop(sandbox, "/tracking", "after")
    with pytest.raises(Unavailable):
        push.send(session, command)
    assert push.read_back(session, command) is None, "the order has not left"
    assert push.send(session, command).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("connector", CONNECTORS)
def test_a_refusal_comes_in_the_marketplaces_words(connector: Connector, sandbox: Sandbox) -> None:
    command, session, push = waiting(sandbox, connector), session_of(connector, sandbox), push_of(connector)
    wrong = {
        "amazon": replace(command, lines=(replace(command.lines[0], quantity=99),)),
        "bunnings": replace(command, carrier="NONE"),
        "otto": replace(command, carrier="PIGEON"),
    }[connector.name]
    answer = push.send(session, wrong)
    assert answer.outcome is Outcome.REFUSED
    assert WORDS[connector.name] in answer.message
    assert "{" not in answer.message
    assert told(sandbox, command) == {}


@pytest.mark.parametrize("connector", CONNECTORS)
def test_somebody_elses_parcel_is_not_taken_for_ours(connector: Connector, sandbox: Sandbox) -> None:
    command, session, push = waiting(sandbox, connector), session_of(connector, sandbox), push_of(connector)
    push.send(session, replace(command, ref="1", tracking_number="THEIRS"))
    found = push.read_back(session, command)
    assert found is None or found.outcome is Outcome.REFUSED
    assert found is None or "THEIRS" in found.message


def test_a_canceled_mirakl_order_says_so(sandbox: Sandbox) -> None:
    order = next(x for x in sandbox.state.world.orders["bunnings-au"] if x.cancelled_at and x.cancelled_at < NOW)
    command = replace(
        waiting(sandbox, bunnings), order_ref=order.ref,
        lines=tuple(ShippedLine(line_ref=x.ref, quantity=x.quantity) for x in order.lines),
    )  # fmt: skip
    found = push_of(bunnings).read_back(session_of(bunnings, sandbox), command)
    assert found is not None and (found.outcome, found.message) == (Outcome.REFUSED, "The order is canceled there.")


@pytest.mark.parametrize(
    ("status", "error"), [(429, Throttled), (401, Unauthorized), (403, Unauthorized), (500, Unavailable)]
)
@pytest.mark.parametrize("connector", CONNECTORS)
def test_statuses_become_errors(
    connector: Connector, sandbox: Sandbox, httpserver: HTTPServer, status: int, error: type[BorderError]
) -> None:
    httpserver.expect_request("/amazon/auth/o2/token").respond_with_json({"access_token": "abcdefgh", "expires_in": 9})
    httpserver.expect_request(re.compile(".*")).respond_with_response(Response(b"{}", status))
    session = connector.open(door(connector, httpserver.url_for("").rstrip("/"), limits={}))
    command = waiting(sandbox, connector)
    for call in (push_of(connector).send, push_of(connector).read_back):
        with pytest.raises(error) as caught:
            call(session, command)
        assert not isinstance(caught.value, Refused)


@pytest.mark.parametrize("connector", CONNECTORS)
def test_carriers_are_named_once_and_their_pages_take_a_number(connector: Connector) -> None:
    rows = connector.reference("carriers")
    assert len({row["carrier"] for row in rows}) == len(rows) > 2
    for row in rows:
        assert set(row) == {"carrier", "name", "code", "return_code", "tracking_url"}
        assert re.fullmatch("[a-z_]+", row["carrier"]) and row["name"]
        assert not row["tracking_url"] or (
            "{number}" in row["tracking_url"] and row["tracking_url"].startswith("https")
        )


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ({"ship_from": None}, "where the parcel starts"),
        ({"return_tracking": ""}, "a return label in every parcel"),
        ({"return_carrier": ""}, "a return label in every parcel"),
        ({"ship_from": ShipFrom(city="Perth", postal_code="6000", country="AU")}, "AU is no country we know there"),
    ],
    ids=["no start", "no return number", "no return carrier", "far away"],
)
def test_otto_wants_start_and_return_label_and_is_not_asked_without(
    sandbox: Sandbox, lacks: dict[str, Any], words: str
) -> None:
    opened = door(otto, sandbox.url)
    answer = push_of(otto).send(otto.open(opened), replace(waiting(sandbox, otto), **lacks))
    assert answer.outcome is Outcome.REFUSED
    assert words in answer.message
    assert isinstance(opened.http, RecordingHttp) and opened.http.calls == []
    assert {"ship_from", "return_carrier", "return_tracking", "tracking_number"} == push_of(otto).needs


def test_two_pieces_of_one_otto_order_may_leave_apart(sandbox: Sandbox) -> None:
    session, push = session_of(otto, sandbox), push_of(otto)
    command = next(c for n in range(40) if len((c := waiting(sandbox, otto, number=n)).lines) > 1)
    first = replace(command, lines=command.lines[:1], tracking_number="FIRST")
    rest = replace(command, lines=command.lines[1:], tracking_number="REST")
    assert push.send(session, first).outcome is Outcome.ACCEPTED
    assert push.read_back(session, rest) is None
    assert push.read_back(session, replace(first, lines=command.lines)) is None, "that parcel holds other pieces"
    assert push.send(session, rest).outcome is Outcome.ACCEPTED
    assert told(sandbox, command) == {line.line_ref: (1, 1) for line in command.lines}
    twice = push.send(session, replace(command, tracking_number="THIRD"))
    assert (twice.outcome, "is not in state PROCESSABLE" in twice.message) == (Outcome.REFUSED, True)


def test_a_packed_command_is_the_same_again(sandbox: Sandbox) -> None:
    command = waiting(sandbox, amazon)
    assert shipment(json.loads(json.dumps(packed(command)))) == command


# ── against the public descriptions ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.skipif("API_SPECS_DIR" not in os.environ, reason="API_SPECS_DIR names no folder")
@pytest.mark.parametrize("connector", CONNECTORS)
def test_every_call_is_one_the_description_knows(connector: Connector, sandbox: Sandbox) -> None:
    opened = door(connector, sandbox.url)
    command, session, push = waiting(sandbox, connector), connector.open(opened), push_of(connector)
    push.send(session, command)
    push.read_back(session, command)
    assert isinstance(opened.http, RecordingHttp)
    calls = [call for call in opened.http.calls if call.operation != "token"]
    assert {call.operation for call in calls} <= set(connector.limits)
    assert [call.method for call in calls] == (["PUT", "PUT", "GET"] if connector is bunnings else ["POST", "GET"])
    for call in calls:
        _check(connector, call)


def _check(connector: Connector, call: Any) -> None:
    folder = Path(os.environ["API_SPECS_DIR"])
    path = urlsplit(call.url).path.removeprefix(connector.sites[0].sandbox_paths["api"])
    name = "mirakl/mirakl-mmp-seller-openapi"
    if connector is amazon:
        name = f"amazon/models/{'ordersV0' if path.startswith('/orders/v0') else 'orders_2026-01-01'}"
    if connector is otto:
        path, name = path.removeprefix("/v1"), "otto/shipments_v1_openapi"
    file = folder / f"{name}.{'yml' if connector is otto else 'json'}"
    read = yaml.safe_load if connector is otto else json.loads
    model = read(file.read_text(encoding="utf-8"))
    operation = next(
        operations[call.method.lower()]
        for template, operations in model["paths"].items()
        if call.method.lower() in operations and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path)
    )
    parameters = operation.get("parameters", [])
    assert set(call.params) <= {x["name"] for x in parameters if x.get("in") == "query"}
    body = next((x["schema"] for x in parameters if x.get("in") == "body"), None)
    if "requestBody" in operation:
        body = operation["requestBody"]["content"]["application/json"]["schema"]
    assert (call.json is None) == (body is None)
    if body is not None:
        shared = {key: model[key] for key in ("definitions", "components") if key in model}
        jsonschema.validate(call.json, {**body, **shared})
