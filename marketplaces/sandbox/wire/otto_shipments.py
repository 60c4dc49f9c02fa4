"""Otto's shipments (v1): a partner tells that pieces have left, each with its return label, and reads it back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..world.model import Line, Order, Package
from ..world.places import Account
from .http import Request, Response, iso, json_response, parse_iso
from .otto_base import BASE, next_link, number
from .shipping import apply
from .state import State

_CARRIERS = {"DHL", "GLS", "HERMES", "DPD", "UPS"}
_FORWARDERS = {
    "DHL_FREIGHT", "DHL_HOME_DELIVERY", "HES", "HELLMANN", "DB_SCHENKER", "IDS", "EMONS", "DACHSER", "LOGWIN",
    "KUEHNE_NAGEL", "SCHOCKEMOEHLE", "KOCH", "REITHMEIER", "OTHER_FORWARDER",
}  # fmt: skip
_RETURN_CARRIERS = {"DHL", "GLS", "HERMES"}
_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One shipment as the partner told it."""

    ref: str
    created_at: datetime
    body: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """Carrier and number, which no two shipments share."""
        tracking = self.body["trackingKey"]
        return tracking["carrier"], tracking.get("trackingNumber", "")

    def pieces(self) -> set[str]:
        """Ids of the positions in it."""
        return {item["positionItemId"] for item in self.body["positionItems"]}


class Problem(ValueError):
    """Why a shipment is turned down; becomes an error body of the shipments API, which differs from the others."""

    def __init__(self, status: int, title: str, detail: str, json_path: str = "") -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.json_path = status, title, detail, json_path

    def response(self, path: str) -> Response:
        """The answer."""
        problem = {"title": self.title, "detail": self.detail, "path": path.removeprefix(BASE)}
        if self.json_path:
            problem["jsonPath"] = self.json_path
        return json_response({"errors": [problem]}, self.status)


def parcel_of(state: State, order: Order, line: Line) -> dict[str, str]:
    """Carrier and number of a piece's parcel, as orders show it."""
    told = next((p.body["trackingKey"] for p in _parcels(state) if line.ref in p.pieces()), None)
    if told:
        return {"carrier": told["carrier"], "trackingNumber": told.get("trackingNumber", "")}
    return {"carrier": "DHL", "trackingNumber": f"0034{int(order.ref[:8], 16):010d}{line.package}"}


def _parcels(state: State) -> list[Parcel]:
    return list(state.parcels.values())


def create_shipment(state: State, account: Account, request: Request) -> Response:
    """`POST /v1/shipments`: all pieces or none; the same carrier and number a second time is a conflict."""
    try:
        with state.lock:
            parcel, orders = _checked(state, account, request)
            state.parcels[parcel.ref] = parcel
            for order in orders:
                apply(state, account.code, order, _package(state, parcel, order))
    except Problem as problem:
        return problem.response(request.path)
    return json_response({"shipmentId": parcel.ref}, 201)


def _package(state: State, parcel: Parcel, order: Order) -> Package:
    """The part of a parcel that belongs to one order."""
    carrier, tracking = parcel.key
    items = {line.ref: 1 for line in order.lines if line.ref in parcel.pieces()}
    return Package(ref=parcel.ref, carrier=carrier, tracking=tracking, shipped_at=state.clock(), items=items)


def _checked(state: State, account: Account, request: Request) -> tuple[Parcel, list[Order]]:
    try:
        body = json.loads(request.body)
        tracking, items = body["trackingKey"], body["positionItems"]
        carrier, ids = tracking["carrier"], [(item["salesOrderId"], item["positionItemId"]) for item in items]
        address = [body["shipFromAddress"][name] for name in ("city", "zipCode", "countryCode")]
        shipped = parse_iso(body["shipDate"])
    except (ValueError, KeyError, TypeError) as problem:
        raise Problem(400, "PROPERTY_IS_MANDATORY", "The property is mandatory", str(problem).strip("'")) from None
    if carrier not in _CARRIERS | _FORWARDERS:
        raise Problem(400, "INVALID_VALUE", "The carrier is not known.", "trackingKey.carrier")
    if carrier in _CARRIERS and not tracking.get("trackingNumber"):
        raise Problem(400, "PROPERTY_IS_MANDATORY", "The property is mandatory", "trackingKey.trackingNumber")
    if len(address[2]) != 3 or not all(address) or shipped is None or not ids:
        raise Problem(400, "INVALID_VALUE", "Address, ship date or position items are not valid.", "shipFromAddress")
    for n, item in enumerate(items):
        label, where = item.get("returnTrackingKey"), f"positionItems[{n}].returnTrackingKey"
        if carrier in _CARRIERS and not (label and label.get("trackingNumber")):
            raise Problem(400, "PROPERTY_IS_MANDATORY", "The property is mandatory", where)
        if label and label.get("carrier") not in _RETURN_CARRIERS:
            raise Problem(400, "INVALID_VALUE", "The carrier takes no returns.", where)
    parcel = Parcel(ref=str(101_074_000_000 + len(state.parcels)), created_at=state.clock(), body=body)
    return parcel, _orders(state, account, parcel, ids)


def _orders(state: State, account: Account, parcel: Parcel, ids: list[tuple[str, str]]) -> list[Order]:
    """The orders of a parcel, all of whose pieces have to wait for dispatch."""
    clock, found = state.clock(), {}
    if any(parcel.key == other.key and parcel.key[1] for other in _parcels(state)):
        raise Problem(409, "DUPLICATE_TRACKING_KEY", "Tracking key already exists for another shipment.")
    for n, (order_ref, line_ref) in enumerate(ids):
        order = state.order(account.code, order_ref)
        line = next((x for x in order.lines if x.ref == line_ref), None) if order else None
        if order is None or line is None:
            detail = "The partner is not allowed to create/update a shipment for position item ID"
            raise Problem(400, "INSUFFICIENT_PERMISSION", detail, f"positionItems[{n}].positionItemId")
        over = [moment for moment in (line.shipped_at, line.cancelled_at) if moment and moment <= clock]
        if over or order.confirmed_at > clock:
            detail = f"Position item {line_ref} is not in state PROCESSABLE."
            raise Problem(409, "POSITION_ITEM_NOT_PROCESSABLE", detail)
        found[order.ref] = order
    return list(found.values())


def _view(parcel: Parcel) -> dict[str, Any]:
    states = [{"state": "ANNOUNCED", "occurredOn": iso(parcel.created_at)}]
    return {"shipmentId": parcel.ref, "creationDate": iso(parcel.created_at), **parcel.body, "states": states}


def list_shipments(state: State, account: Account, request: Request) -> Response:
    """`GET /v1/shipments?datefrom=`: what partners told, oldest first, without their content."""
    since = parse_iso(request.one("datefrom"))
    if since is None:
        raise ValueError("datefrom is mandatory")
    size, first = number(request, "limit", 25, most=_MOST), int(request.one("next") or 0)
    found = [parcel for parcel in _parcels(state) if parcel.created_at >= since]
    few = ("shipmentId", "creationDate", "trackingKey", "states")
    shown = [{name: _view(parcel)[name] for name in few} for parcel in found[first : first + size]]
    body: dict[str, Any] = {"resources": shown, "links": []}
    if first + size < len(found):
        body["links"] = next_link(request.path, datefrom=request.one("datefrom") or "", next=first + size, limit=size)
    return json_response(body)


def get_shipment(state: State, account: Account, request: Request, ref: str) -> Response:
    """`GET /v1/shipments/{shipmentId}`."""
    return _one(request, state.parcels.get(ref))


def find_shipment(state: State, account: Account, request: Request, carrier: str, number: str) -> Response:
    """`GET /v1/shipments/carriers/{carrier}/trackingnumbers/{trackingNumber}`."""
    return _one(request, next((p for p in _parcels(state) if p.key == (carrier, number)), None))


def _one(request: Request, parcel: Parcel | None) -> Response:
    if parcel is None:
        return Problem(404, "RESOURCE_NOT_FOUND", "The shipment was not found.").response(request.path)
    return json_response(_view(parcel))
