"""Amazon's confirmShipment (orders v0): one package of a merchant's order, told once or edited by its reference."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from ..world.model import Order, Package
from ..world.places import SITES, Account
from .amazon_base import bad_request, error
from .amazon_order_view import fulfillment_status
from .http import Request, Response, parse_iso
from .shipping import apply
from .state import State

_OPEN = ("UNSHIPPED", "PARTIALLY_SHIPPED", "SHIPPED")
_FIELDS = ("packageReferenceId", "carrierCode", "trackingNumber", "shipDate", "orderItems")


def confirm_shipment(state: State, account: Account, request: Request, order_id: str) -> Response:
    """confirmShipment: 204, or what is wrong with it. The same packageReferenceId again edits the package."""
    order = state.order(account.code, order_id)
    if order is None:
        return error(404, "NotFound", "The requested order was not found.", order_id)
    try:
        asked = json.loads(request.body)
        package = _package(asked["packageDetail"])
        site = asked["marketplaceId"]
    except (ValueError, KeyError, TypeError) as problem:
        return bad_request(f"The input you have submitted is not valid: {problem}")
    if site != SITES[order.site].external_id:
        return bad_request("The order was not placed in this marketplace.")
    with state.lock:
        wrong = _wrong(order, package, state.clock())
        if wrong:
            return bad_request(wrong)
        apply(state, account.code, order, package)
    return Response(status=204)


def _package(detail: dict[str, Any]) -> Package:
    missing = [name for name in _FIELDS if not detail.get(name)]
    if missing:
        raise ValueError(f"{missing[0]} is missing")
    ref, code = detail["packageReferenceId"], detail["carrierCode"]
    if not isinstance(ref, str) or not ref.isdigit() or int(ref) <= 0:
        raise ValueError("packageReferenceId is invalid, must be a positive numeric value")
    if code == "Other" and not detail.get("carrierName"):
        raise ValueError("carrierName is required when carrierCode is Other")
    shipped_at = parse_iso(str(detail["shipDate"]))
    items = {str(item["orderItemId"]): int(item["quantity"]) for item in detail["orderItems"]}
    if shipped_at is None or min(items.values()) < 1:
        raise ValueError("shipDate or quantity")
    return Package(ref=ref, carrier=code, tracking=detail["trackingNumber"], shipped_at=shipped_at, items=items)


def _wrong(order: Order, package: Package, clock: datetime) -> str:
    if order.fulfilled_by == "AMAZON":
        return "The order is fulfilled by Amazon; its shipment cannot be confirmed."
    status = fulfillment_status(order, clock)
    is_edit = any(each.ref == package.ref for each in order.packages)
    if status not in _OPEN or (status == "SHIPPED" and not is_edit):
        return f"The order is {status}; its shipment cannot be confirmed."
    if package.shipped_at > clock + timedelta(days=1) or package.shipped_at < order.created_at:
        return "shipDate must not be before the order date nor in the future."
    lines = {line.ref: line for line in order.lines}
    for ref, quantity in package.items.items():
        if ref not in lines:
            return f"OrderItemId {ref} does not belong to the order."
        line = lines[ref]
        elsewhere = sum(each.items.get(ref, 0) for each in order.packages if each.ref != package.ref)
        by_itself = line.quantity if not line.sent and line.shipped_at and line.shipped_at <= clock else 0
        is_gone = line.cancelled_at is not None and line.cancelled_at <= clock
        if is_gone or quantity > line.quantity - max(elsewhere, by_itself):
            return f"The quantity of OrderItemId {ref} is more than is left to ship."
    return ""
