"""Otto's orders (v4): by time of last change, one position per piece, states by the clock, a cursor that skips none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..world.model import Line, Order
from ..world.otto import order_number, short
from ..world.places import SITES, Account
from .http import Request, Response, cents_number, iso, json_response, parse_iso
from .otto_base import error, next_link, number
from .otto_shipments import parcel_of
from .paging import seal, unseal
from .state import State

_MOST = 128
_STATES = ("ANNOUNCED", "PROCESSABLE", "SENT", "RETURNED", "CANCELLED_BY_PARTNER", "CANCELLED_BY_MARKETPLACE")
_PAYMENTS = ("INVOICE_SINGLE", "PAYPAL", "CREDIT_CARD", "DIRECT_DEBIT", "INVOICE_INSTALLMENTS")


def list_orders(state: State, account: Account, request: Request) -> Response:
    """`GET /v4/orders`: oldest change first; with a cursor only `limit` still counts."""
    size = number(request, "limit", _MOST, most=_MOST)
    clock, question = state.clock(), _question(request)
    found = sorted(
        (changed, order.ref, order)
        for order in state.world.orders[account.code]
        if (changed := changed_at(order, clock)) and _wanted(order, changed, clock, question)
    )
    if question["down"]:
        found.reverse()
    if after := question.get("after"):
        place = (datetime.fromisoformat(after[0]), after[1])
        found = [x for x in found if (x[:2] < place if question["down"] else x[:2] > place)]
    shown = found[:size]
    body: dict[str, Any] = {"resources": [_view(state, order, clock) for _, _, order in shown], "links": []}
    if len(found) > size:
        last = [shown[-1][0].isoformat(), shown[-1][1]]
        body["links"] = next_link(request.path, nextcursor=seal({**question, "after": last}), limit=size)
    return json_response(body)


def get_order(state: State, account: Account, request: Request, ref: str) -> Response:
    """`GET /v4/orders/{salesOrderId | orderNumber}`."""
    clock = state.clock()
    order = state.order(account.code, ref) or next(
        (x for x in state.world.orders[account.code] if x.created_at <= clock and order_number(x) == ref), None
    )
    if order is None:
        return error(404, request.path, "RESOURCE_NOT_FOUND", "There is no such order.")
    return json_response(_view(state, order, clock))


def _question(request: Request) -> dict[str, Any]:
    """What is asked: the filters of a new question, or those its cursor carries."""
    cursor = request.one("nextcursor")
    if cursor:
        question = unseal(cursor)
        if question is None or "after" not in question:
            raise ValueError("nextcursor")
        return question
    states = request.many("fulfillmentStatus")
    if not set(states) <= set(_STATES):
        raise ValueError("fulfillmentStatus")
    if (request.one("orderColumnType") or "ORDER_LIFECYCLE_DATE") not in ("ORDER_LIFECYCLE_DATE", "LAST_MODIFIED_DATE"):
        raise ValueError("orderColumnType")
    dates = {name: request.one(name) for name in ("fromDate", "fromOrderDate", "toOrderDate")}
    for value in dates.values():
        parse_iso(value)
    return {
        **dates,
        "states": states,
        "bucket": (request.one("mode") or "BUCKET") == "BUCKET",
        "down": request.one("orderDirection") == "DESC",
    }


def _wanted(order: Order, changed: datetime, clock: datetime, question: dict[str, Any]) -> bool:
    since, ordered = parse_iso(question["fromDate"]), parse_iso(question["fromOrderDate"])
    until = parse_iso(question["toOrderDate"])
    if (since and changed < since) or (ordered and order.created_at < ordered) or (until and order.created_at > until):
        return False
    states = question["states"]
    if not states:
        return True
    found = {line_state(order, line, clock) for line in order.lines}
    if question["bucket"]:
        # A bucket is named by the least advanced piece; canceled ones count beside it.
        least = min(found, key=_STATES.index)
        found = {least} | {x for x in found if x.startswith("CANCELLED")}
    return bool(found & set(states))


def _past(moment: datetime | None, clock: datetime) -> bool:
    return moment is not None and moment <= clock


def changed_at(order: Order, clock: datetime) -> datetime | None:
    """The last change of the order's life up to the clock; a parcel's arrival is none Otto would tell."""
    if order.created_at > clock:
        return None
    moments = [order.created_at, order.confirmed_at]
    for line in order.lines:
        moments += [t for t in (line.shipped_at, line.cancelled_at) if t]
        if line.refund:
            moments.append(line.refund.at)
    return max(moment for moment in moments if moment <= clock)


def line_state(order: Order, line: Line, clock: datetime) -> str:
    """Where one piece stands."""
    if _past(line.cancelled_at, clock):
        return "CANCELLED_BY_MARKETPLACE" if order.cancelled_at else "CANCELLED_BY_PARTNER"
    if line.refund and _past(line.refund.at, clock):
        return "RETURNED"
    if _past(line.shipped_at, clock):
        return "SENT"
    return "PROCESSABLE" if _past(order.confirmed_at, clock) else "ANNOUNCED"


def _view(state: State, order: Order, clock: datetime) -> dict[str, Any]:
    changed = iso(changed_at(order, clock) or order.created_at)
    view: dict[str, Any] = {
        "salesOrderId": order.ref,
        "orderNumber": order_number(order),
        "orderDate": iso(order.created_at),
        "lastModifiedDate": changed,
        "orderLifecycleInformation": {"lifecycleChangeDate": changed},
        "payment": {"paymentMethod": _PAYMENTS[int(order.ref[:4], 16) % len(_PAYMENTS)]},
        "suspectedFraudCase": False,
        "positionItems": [_position(state, order, line, clock) for line in order.lines],
        "initialDeliveryFees": _delivery_fees(order),
        "initialDiscounts": _discounts(order),
        "links": [{"rel": "self", "href": f"/v4/orders/{order.ref}"}],
    }
    if any(line_state(order, line, clock) != "ANNOUNCED" for line in order.lines):
        view["invoiceAddress"] = _address(order) | {"email": order.buyer.email}
        view["deliveryAddress"] = _address(order) | {"phoneNumber": order.buyer.phone}
    return view


def _money(order: Order, cents: int) -> dict[str, Any]:
    return {"amount": cents_number(cents), "currency": SITES[order.site].currency}


def _vat(order: Order) -> float:
    return float(SITES[order.site].vat_percent)


def _position(state: State, order: Order, line: Line, clock: datetime) -> dict[str, Any]:
    product, status = line.product, line_state(order, line, clock)
    view: dict[str, Any] = {
        "positionItemId": line.ref,
        "fulfillmentStatus": status,
        "itemValueGrossPrice": _money(order, line.price_cents),
        "product": {
            "sku": product.sku,
            "ean": product.ean,
            "articleNumber": str(90_000_000 + product.offer_id),
            "productTitle": product.title,
            "vatRate": _vat(order),
            "dimensions": [],
        },
        "weeePickup": False,
    }
    if line.discount_cents:
        view["itemValueDiscount"] = _money(order, line.discount_cents)
        view["itemValueReducedGrossPrice"] = _money(order, line.price_cents - line.discount_cents)
    if status.startswith("CANCELLED") and line.cancelled_at:
        return view | {"cancellationDate": iso(line.cancelled_at), "cancellationReason": "OUT_OF_STOCK"}
    view["expectedDeliveryDate"] = iso(order.confirmed_at + timedelta(days=4))
    if _past(order.confirmed_at, clock):
        view["processableDate"] = iso(order.confirmed_at)
    sent = line.shipped_at
    if sent and sent <= clock:
        view["sentDate"] = iso(sent)
        view["trackingInfo"] = parcel_of(state, order, line)
    if status == "RETURNED" and line.refund:
        view |= {"returnedDate": iso(line.refund.at), "returnAcceptedByMarketplace": False}
    return view


def _delivery_fees(order: Order) -> list[dict[str, Any]]:
    """The fee of the whole order names every piece it is for."""
    fee = sum(line.shipping_cents for line in order.lines)
    ids = [line.ref for line in order.lines]
    return [] if not fee else [
        {"name": "DELIVERY_FEE_STANDARD", "deliveryFeeAmount": _money(order, fee), "positionItemIds": ids,
         "vatRate": _vat(order)}
    ]  # fmt: skip


def _discounts(order: Order) -> list[dict[str, Any]]:
    return [
        {
            "name": "PARTNER_DISCOUNT",
            "discountId": short(line.product.sku, 8).upper(),
            "discountName": "Herbstaktion",
            "discountAmount": _money(order, line.discount_cents),
            "positionItemIds": [line.ref],
            "vatRate": _vat(order),
        }
        for line in order.lines
        if line.discount_cents
    ]


def _address(order: Order) -> dict[str, Any]:
    first, _, last = order.buyer.name.partition(" ")
    street, _, house = order.buyer.street.rpartition(" ")
    return {
        "salutation": "UNKNOWN",
        "firstName": first,
        "lastName": last,
        "street": street,
        "houseNumber": house,
        "zipCode": order.buyer.postal_code,
        "city": order.buyer.city,
        "countryCode": "DEU",
    }
