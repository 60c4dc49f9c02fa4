"""Telling the sandbox of parcels: what changes, what is refused, what a repetition does, and answers that are lost."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.wire.amazon_order_view import fulfillment_status
from marketplaces.sandbox.wire.mirakl_orders import order_state
from marketplaces.sandbox.wire.shipping import shipments_told
from marketplaces.sandbox.world.model import Order

from .conftest import NOW, Call, amazon_of, call

KEY = {"Authorization": "sandbox-bunnings-key"}


def open_order(sandbox: Sandbox, account: str, *, quantity: int = 1, lines: int = 1) -> Order:
    """An order that waits for its seller."""
    return next(
        order
        for order in sandbox.state.world.orders[account]
        if order.created_at <= NOW - timedelta(hours=3)
        and order.fulfilled_by == "MERCHANT"
        and _status(order, account) in ("UNSHIPPED", "SHIPPING")
        and len(order.lines) >= lines
        and order.lines[0].quantity >= quantity
        and not any(line.cancelled_at for line in order.lines)
    )


def _status(order: Order, account: str) -> str:
    return order_state(order, NOW) if account == "bunnings-au" else fulfillment_status(order, NOW)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """With enough orders that some wait to be shipped."""
    with start(seed=2, orders=1500, days=30, now=NOW) as running:
        yield running


@pytest.fixture
def eu(sandbox: Sandbox) -> Call:
    return amazon_of(sandbox)


def package(order: Order, *, ref: Any = "7", quantity: int = 1, **more: Any) -> dict[str, Any]:
    detail = {
        "packageReferenceId": ref, "carrierCode": "DHL", "trackingNumber": "JD1", "shipDate": "2026-11-20T20:00:00Z",
        "orderItems": [{"orderItemId": order.lines[0].ref, "quantity": quantity}],
    }  # fmt: skip
    site = {"amazon.de": "A1PA6795UKMFR9", "amazon.fr": "A13V1IB3VIYZZH"}[order.site]
    return {"marketplaceId": site, "packageDetail": detail | more}


def confirm(ask: Call, order: Order, **more: Any) -> Any:
    return ask(f"/orders/v0/orders/{order.ref}/shipmentConfirmation", method="POST", body=package(order, **more))


def test_amazon_ships_the_line_and_shows_the_package(sandbox: Sandbox, eu: Call) -> None:
    order = open_order(sandbox, "amazon-eu", quantity=2)
    assert confirm(eu, order).status == 204
    path = f"/orders/2026-01-01/orders/{order.ref}"
    shown = eu(path, {"includedData": "FULFILLMENT,PACKAGES"}).data["order"]
    assert shown["fulfillment"]["fulfillmentStatus"] == "PARTIALLY_SHIPPED"
    assert shown["orderItems"][0]["fulfillment"]["quantityFulfilled"] == 1
    assert [(x["packageReferenceId"], x["trackingNumber"]) for x in shown["packages"]] == [("7", "JD1")]
    rest = order.lines[0].quantity - 1
    assert confirm(eu, order, ref="8", quantity=rest + 1).status == 400, "more than is left"
    assert confirm(eu, order, ref="8", quantity=rest).status == 204
    (line,) = shipments_told(sandbox.state)
    assert (line["confirmed"], line["confirmations"]) == (order.lines[0].quantity, 2)


def test_the_same_reference_again_edits_the_package_and_ships_nothing(sandbox: Sandbox, eu: Call) -> None:
    order = open_order(sandbox, "amazon-eu", quantity=2)
    assert confirm(eu, order).status == 204
    assert confirm(eu, order, trackingNumber="JD2").status == 204
    (line,) = shipments_told(sandbox.state)
    assert (line["confirmed"], line["confirmations"]) == (1, 1)
    shown = eu(f"/orders/2026-01-01/orders/{order.ref}", {"includedData": "PACKAGES"}).data["order"]
    assert [x["trackingNumber"] for x in shown["packages"]] == ["JD2"]
    assert confirm(eu, order, ref="9").status == 204, "another reference is another package"
    (line,) = shipments_told(sandbox.state)
    assert (line["confirmed"], line["confirmations"]) == (2, 2)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ref": 7}, "positive numeric"),
        ({"ref": "A7"}, "positive numeric"),
        ({"trackingNumber": ""}, "trackingNumber is missing"),
        ({"carrierCode": "Other"}, "carrierName is required"),
        ({"shipDate": "02/21/2026"}, "not valid"),
        ({"shipDate": "2027-01-01T00:00:00Z"}, "shipDate"),
        ({"quantity": 99}, "more than is left"),
    ],
)
def test_amazon_refuses_in_words(sandbox: Sandbox, eu: Call, wrong: dict[str, Any], told: str) -> None:
    reply = confirm(eu, open_order(sandbox, "amazon-eu"), **wrong)
    assert reply.status == 400
    assert told in json.dumps(reply.data)
    assert shipments_told(sandbox.state) == []


def test_amazons_own_parcels_and_canceled_orders_cannot_be_confirmed(sandbox: Sandbox, eu: Call) -> None:
    orders = sandbox.state.world.orders["amazon-eu"]
    fba = next(x for x in orders if x.fulfilled_by == "AMAZON" and x.created_at < NOW)
    gone = next(x for x in orders if x.fulfilled_by == "MERCHANT" and x.cancelled_at and x.cancelled_at < NOW)
    assert confirm(eu, fba).status == confirm(eu, gone).status == 400


def put(sandbox: Sandbox, order: Order, what: str, body: dict[str, Any] | None = None) -> Any:
    sent = json.dumps(body).encode() if body is not None else None
    return call(f"{sandbox.url}/bunnings/api/orders/{order.ref}/{what}", "PUT", headers=KEY, body=sent)


def test_mirakl_wants_the_tracking_first_and_ships_once(sandbox: Sandbox) -> None:
    order = open_order(sandbox, "bunnings-au")
    refused = put(sandbox, order, "ship")
    assert (refused.status, refused.data["message"]) == (400, "Tracking details are mandatory for this shipping method")
    assert put(sandbox, order, "tracking", {"carrier_code": "NONE", "tracking_number": "1"}).status == 400
    for number in ("33A", "33B"):
        told = {"carrier_code": "AUSPOST", "tracking_number": number}
        assert put(sandbox, order, "tracking", told).status == 204
    assert put(sandbox, order, "ship").status == 204
    again = put(sandbox, order, "ship")
    assert again.status == 400 and "must be in status SHIPPING" in again.data["message"]
    shown = call(f"{sandbox.url}/bunnings/api/orders", query={"order_ids": order.ref}, headers=KEY).data["orders"][0]
    assert (shown["order_state"], shown["shipping_tracking"]) == ("SHIPPED", "33B")
    assert {row["confirmations"] for row in shipments_told(sandbox.state)} == {1}


@pytest.mark.parametrize(("when", "confirmed"), [("after", 1), ("before", 0)])
def test_an_answer_can_be_lost_after_or_before_the_deed(sandbox: Sandbox, eu: Call, when: str, confirmed: int) -> None:
    order = open_order(sandbox, "amazon-eu")
    asked = json.dumps({"path": "shipmentConfirmation", "when": when}).encode()
    assert call(f"{sandbox.url}/__sandbox/drops", "POST", body=asked).status == 200
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        confirm(eu, order)
    told = call(f"{sandbox.url}/__sandbox/shipments").data
    assert sum(row["confirmed"] for row in told) == confirmed
    assert confirm(eu, order).status == 204, "only one answer was to be lost"


def test_an_unreadable_order_to_drop_is_refused(sandbox: Sandbox) -> None:
    for body in (b"", b"{}", b'{"path": 1, "when": "after"}', b'{"path": "x", "when": "never"}'):
        assert call(f"{sandbox.url}/__sandbox/drops", "POST", body=body).status == 400


@pytest.mark.parametrize("kind", ["throttled", "throttled_until"])
def test_who_is_told_to_slow_down_was_not_served(sandbox: Sandbox, eu: Call, kind: str) -> None:
    order, other = open_order(sandbox, "amazon-eu"), open_order(sandbox, "bunnings-au")
    plan = {"kinds": [kind], "rate": 1, "most": 1}
    assert call(f"{sandbox.url}/__sandbox/faults", "POST", body=json.dumps(plan).encode()).status == 200
    told = {"carrier_code": "AUSPOST", "tracking_number": "33A"}
    assert confirm(eu, order).status == put(sandbox, other, "tracking", told).status == 429
    assert (shipments_told(sandbox.state), other.tracking) == ([], {})
    assert confirm(eu, order).status == put(sandbox, other, "tracking", told).status == 204
    assert {row["confirmations"] for row in shipments_told(sandbox.state)} == {1}
    assert other.tracking
