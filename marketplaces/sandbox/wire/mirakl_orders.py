"""Bunnings' orders (OR11): filters by creation and update, states by the clock, refunds and commission on the line."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..world.amounts import line_amounts, referral, with_tax
from ..world.bunnings_money import stable_uuid
from ..world.model import Line, Order
from ..world.places import Account
from .http import Request, Response, cents_number, iso, parse_iso
from .mirakl_base import offset_page
from .state import State

# Mirakl asks a little further back than it is told, so that no order is missed.
_SAFETY = timedelta(minutes=2)
CATEGORY_LABELS = {
    "home_kitchen": "Home & Kitchen",
    "lighting": "Lighting",
    "beauty": "Bath & Beauty",
    "sports": "Sports & Outdoor",
    "tools": "Tools",
}


def list_orders(state: State, account: Account, request: Request) -> Response:
    """OR11: oldest first."""
    clock = state.clock()
    since, until = parse_iso(request.one("start_date")), parse_iso(request.one("end_date"))
    updated_since, updated_until = (
        parse_iso(request.one("start_update_date")),
        parse_iso(request.one("end_update_date")),
    )
    wanted, states = set(request.many("order_ids")), set(request.many("order_state_codes"))
    found = []
    for order in state.world.orders[account.code]:
        updated = order.updated_at(clock)
        if updated is None or order.created_at > clock:
            continue
        if (since and order.created_at < since) or (until and order.created_at > until):
            continue
        if (updated_since and updated < updated_since - _SAFETY) or (updated_until and updated > updated_until):
            continue
        if (wanted and order.ref not in wanted) or (states and order_state(order, clock) not in states):
            continue
        found.append(order)
    return offset_page(state, request, "orders", found, lambda order: _view(order, clock))


def _past(moment: datetime | None, clock: datetime) -> bool:
    return moment is not None and moment <= clock


def line_state(order: Order, line: Line, clock: datetime) -> str:
    """Where one line stands."""
    if _past(line.cancelled_at, clock):
        return "REFUSED" if order.refused else "CANCELED"
    if not _past(order.confirmed_at, clock):
        return "WAITING_ACCEPTANCE"
    if not _past(line.shipped_at, clock):
        return "SHIPPING"
    if not _past(line.delivered_at, clock):
        return "SHIPPED"
    return "CLOSED" if _past(order.closed_at, clock) else "RECEIVED"


def order_state(order: Order, clock: datetime) -> str:
    """The least advanced of the lines that go on; the order is over when all lines are."""
    ranks = ("WAITING_ACCEPTANCE", "SHIPPING", "SHIPPED", "RECEIVED", "CLOSED", "REFUSED", "CANCELED")
    states = [line_state(order, line, clock) for line in order.lines]
    return min(states, key=ranks.index)


def _view(order: Order, clock: datetime) -> dict[str, Any]:
    state = order_state(order, clock)
    lines = [_line(order, line, clock, number) for number, line in enumerate(order.lines, 1)]
    alive = [view for view, line in zip(lines, order.lines, strict=True) if not _past(line.cancelled_at, clock)]
    view: dict[str, Any] = {
        "can_cancel": state == "SHIPPING",
        "can_shop_ship": state == "SHIPPING",
        "commercial_id": order.ref.removesuffix("-A"),
        "created_date": iso(order.created_at),
        "currency_iso_code": "AUD",
        "customer": _customer(order, state),
        "customer_directly_pays_seller": False,
        "customer_notification_email": order.buyer.email,
        "fulfillment": {"center": {"code": "DEFAULT"}},
        "fully_refunded": _fully_refunded(order, clock),
        "has_customer_message": False,
        "has_incident": False,
        "has_invoice": False,
        "last_updated_date": iso(order.updated_at(clock) or order.created_at),
        "leadtime_to_ship": 2,
        "order_additional_fields": [],
        "order_id": order.ref,
        "order_lines": lines,
        "order_state": state,
        "order_state_reason_code": None,
        "order_state_reason_label": None,
        "order_tax_mode": "TAX_INCLUDED",
        "order_taxes": [],
        "paymentType": "CARD",
        "payment_type": "CARD",
        "payment_workflow": "PAY_ON_ACCEPTANCE",
        "price": _sum(alive, "price"),
        "promotions": {"applied_promotions": [], "total_deduced_amount": 0},
        "shipping_carrier_code": "AUSPOST",
        "shipping_company": "Australia Post",
        "shipping_deadline": iso(order.confirmed_at + timedelta(days=3)),
        "shipping_price": _sum(alive, "shipping_price"),
        "shipping_type_code": "STD",
        "shipping_type_label": "Standard",
        "shipping_zone_code": "AU",
        "shipping_zone_label": "Australia",
        "total_commission": _sum(alive, "total_commission"),
        "total_price": _sum(alive, "total_price"),
    }
    if _past(order.confirmed_at, clock) and not _past(order.cancelled_at, clock):
        view["acceptance_decision_date"] = view["customer_debited_date"] = iso(order.confirmed_at)
    if order.tracking:
        view["shipping_carrier_code"], view["shipping_company"] = order.tracking["code"], order.tracking["name"]
        view["shipping_tracking"] = order.tracking["number"]
    elif state in ("SHIPPED", "RECEIVED", "CLOSED"):
        view["shipping_tracking"] = f"33{order.ref[1:-2]}"
    return view


def _sum(lines: list[dict[str, Any]], name: str) -> float:
    return cents_number(sum(round(line[name] * 100) for line in lines))


def _fully_refunded(order: Order, clock: datetime) -> bool:
    return all(x.refund and _past(x.refund.at, clock) and x.refund.quantity == x.quantity for x in order.lines)


def _customer(order: Order, state: str) -> dict[str, Any]:
    """The address is told once the order is to be shipped."""
    first, _, last = order.buyer.name.partition(" ")
    address = {
        "city": order.buyer.city,
        "country": "AUSTRALIA",
        "country_iso_code": "AUS",
        "firstname": first,
        "lastname": last,
        "phone": order.buyer.phone,
        "state": order.buyer.region,
        "street_1": order.buyer.street,
        "street_2": None,
        "zip_code": order.buyer.postal_code,
    }
    customer: dict[str, Any] = {
        "customer_id": stable_uuid("customer", order.ref),
        "firstname": first,
        "lastname": last,
        "locale": "en_AU",
    }
    is_told = state not in ("WAITING_ACCEPTANCE", "REFUSED")
    customer["billing_address"] = customer["shipping_address"] = address if is_told else None
    return customer


def _line(order: Order, line: Line, clock: datetime, number: int) -> dict[str, Any]:
    fee = referral(order, line, line_amounts(order, line))
    tax = with_tax(order.site, fee) - fee
    changes = [t for t in (line.shipped_at, line.delivered_at, line.cancelled_at) if t and t <= clock]
    product = line.product
    view: dict[str, Any] = {
        "can_refund": _past(line.shipped_at, clock),
        "cancelations": [],
        "category_code": product.category,
        "category_label": CATEGORY_LABELS[product.category],
        "commission_fee": cents_number(fee),
        "commission_rate_vat": 10.0,
        "commission_taxes": [{"amount": cents_number(tax), "code": "GST", "rate": 10.0}],
        "commission_vat": cents_number(tax),
        "created_date": iso(order.created_at),
        "description": None,
        "fees": [],
        "last_updated_date": iso(max([order.created_at, *changes])),
        "offer_id": product.offer_id,
        "offer_sku": product.sku,
        "offer_state_code": "11",
        "order_line_additional_fields": [],
        "order_line_id": line.ref,
        "order_line_index": number,
        "order_line_state": line_state(order, line, clock),
        "order_line_state_reason_code": None,
        "order_line_state_reason_label": None,
        "origin_unit_price": cents_number(line.unit_cents),
        "price": cents_number(line.price_cents),
        "price_additional_info": None,
        "price_unit": cents_number(line.unit_cents),
        "product_medias": [],
        "product_shop_sku": product.sku,
        "product_sku": f"I{product.offer_id}",
        "product_title": product.title,
        "promotions": [],
        "quantity": line.quantity,
        "refunds": [_refund(order, line)] if line.refund and _past(line.refund.at, clock) else [],
        "shipping_price": cents_number(line.shipping_cents),
        "shipping_taxes": [],
        "taxes": [],
        "total_commission": cents_number(fee + tax),
        "total_price": cents_number(line.price_cents + line.shipping_cents),
    }
    view.update(_dates(order, line, clock))
    return view


def _dates(order: Order, line: Line, clock: datetime) -> dict[str, str]:
    moments = {"shipped_date": line.shipped_at, "received_date": line.delivered_at}
    if not order.cancelled_at:
        moments["debited_date"] = order.confirmed_at
    return {name: iso(moment) for name, moment in moments.items() if moment and moment <= clock}


def _refund(order: Order, line: Line) -> dict[str, Any]:
    if line.refund is None:
        raise ValueError(f"line {line.ref} has no refund")
    fee = referral(order, line, line_amounts(order, line, line.refund.quantity))
    tax = with_tax(order.site, fee) - fee
    return {
        "amount": cents_number(line.unit_cents * line.refund.quantity),
        "commission_amount": cents_number(fee),
        "commission_tax_amount": cents_number(tax),
        "commission_taxes": [{"amount": cents_number(tax), "code": "GST"}],
        "commission_total_amount": cents_number(fee + tax),
        "created_date": iso(line.refund.at),
        "fees": [],
        "id": line.refund.ref,
        "order_refund_id": stable_uuid("refund", line.refund.ref, line.ref),
        "quantity": line.refund.quantity,
        "reason_code": "17",
        "refund_state": "REFUNDED",
        "shipping_amount": 0,
        "shipping_taxes": [],
        "state": "REFUNDED",
        "taxes": [],
        "transaction_date": iso(line.refund.at),
        "transaction_number": f"RF{line.refund.ref}",
    }
