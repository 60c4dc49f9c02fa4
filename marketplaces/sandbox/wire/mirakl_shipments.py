"""Mirakl's two calls to ship an order: its carrier and number (OR23), then its shipment as a whole (OR24)."""

from __future__ import annotations

import json

from ..world.model import Package
from ..world.places import Account
from .http import Request, Response
from .mirakl_base import error
from .mirakl_orders import line_state, order_state
from .shipping import apply
from .state import State

_CARRIERS = {"AUSPOST": "Australia Post", "STARTRACK": "StarTrack", "TNT": "TNT"}
"""Carriers registered with the operator (SH21)."""


def set_tracking(state: State, account: Account, request: Request, order_id: str) -> Response:
    """OR23: carrier and number; a second time it replaces the first."""
    order = state.order(account.code, order_id)
    if order is None:
        return error(404, f"Order with identifier '{order_id}' not found")
    body = json.loads(request.body or b"{}")
    code, name, number = body.get("carrier_code"), body.get("carrier_name"), body.get("tracking_number")
    if code and code not in _CARRIERS:
        return error(400, f"Carrier with code '{code}' does not exist")
    if not code and not name:
        return error(400, "The carrier code or the carrier name is mandatory")
    if code and not number:
        return error(400, "The tracking number is mandatory for this carrier")
    with state.lock:
        if order_state(order, state.clock()) not in ("SHIPPING", "SHIPPED"):
            return error(400, f"Tracking cannot be updated: the order is {order_state(order, state.clock())}")
        order.tracking = {"code": code or "", "name": name or _CARRIERS.get(code, ""), "number": number or ""}
        state.forget_answers()
    return Response(status=204)


def ship_order(state: State, account: Account, request: Request, order_id: str) -> Response:
    """OR24: the whole order has left. Only once, and only with tracking."""
    order = state.order(account.code, order_id)
    if order is None:
        return error(404, f"Order with identifier '{order_id}' not found")
    with state.lock:
        clock = state.clock()
        if order_state(order, clock) != "SHIPPING":
            return error(400, f"Order {order_id} must be in status SHIPPING, it is {order_state(order, clock)}")
        if not order.tracking.get("number"):
            return error(400, "Tracking details are mandatory for this shipping method")
        items = {x.ref: x.quantity for x in order.lines if line_state(order, x, clock) == "SHIPPING"}
        package = Package(
            ref=order.ref, carrier=order.tracking["code"], tracking=order.tracking["number"], shipped_at=clock,
            items=items,
        )  # fmt: skip
        apply(state, account.code, order, package)
    return Response(status=204)
