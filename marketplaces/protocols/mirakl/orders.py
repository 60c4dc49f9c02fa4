"""Mirakl orders (OR11): by time of last change, with lines, stated commission and refunds, as order records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, Translated, Window
from marketplaces.protocols import reading
from marketplaces.protocols.countries import two_letters
from marketplaces.protocols.mirakl.client import MiraklSession
from marketplaces.protocols.mirakl.operator import Operator
from marketplaces.protocols.reading import Row, part, rows, text
from marketplaces.records import (
    BuyerRecord,
    ChargeRecord,
    Drift,
    FeeKind,
    FulfillmentOwner,
    LineStatus,
    OrderLineRecord,
    OrderRecord,
    RefundRecord,
)

PII_PATHS = (
    "orders[].customer",
    "orders[].customer_notification_email",
    "orders[].delivery_date",
    "orders[].invoice_details",
    "orders[].order_additional_fields",
    "orders[].order_lines[].order_line_additional_fields",
)
_STATUS = {
    "STAGING": LineStatus.PENDING,
    "WAITING_ACCEPTANCE": LineStatus.TO_ACCEPT,
    "WAITING_DEBIT": LineStatus.PENDING,
    "WAITING_DEBIT_PAYMENT": LineStatus.PENDING,
    "SHIPPING": LineStatus.TO_SHIP,
    "SHIPPED": LineStatus.SHIPPED,
    "TO_COLLECT": LineStatus.SHIPPED,
    "RECEIVED": LineStatus.DELIVERED,
    "CLOSED": LineStatus.CLOSED,
    "REFUSED": LineStatus.REFUSED,
    "CANCELED": LineStatus.CANCELED,
    "INCIDENT_OPEN": LineStatus.SHIPPED,
    "INCIDENT_CLOSED": LineStatus.CLOSED,
    "WAITING_REFUND": LineStatus.DELIVERED,
    "WAITING_REFUND_PAYMENT": LineStatus.DELIVERED,
    "REFUNDED": LineStatus.CLOSED,
}
_SENT = {LineStatus.SHIPPED, LineStatus.DELIVERED, LineStatus.CLOSED}
_GONE = {LineStatus.CANCELED, LineStatus.REFUSED}
_MODES = ("TAX_INCLUDED", "TAX_EXCLUDED")
_TOTAL = frozenset({FeeKind.ITEM_PRICE, FeeKind.SHIPPING_PRICE, FeeKind.OTHER_FEE})


def fetch(session: MiraklSession, window: Window, token: str) -> RawPage:
    """One page of orders changed in the window."""
    params = {
        "start_update_date": reading.iso(window.since),
        "end_update_date": reading.iso(window.until),
    }
    return session.offset_page("/api/orders", params, token, operation="OR11", rows="orders", key="order_id")


def fetch_some(session: MiraklSession, refs: Sequence[str]) -> RawPage:
    """Up to a hundred orders by their numbers; one call, as OR11 may be asked once a minute only."""
    return session.offset_page(
        "/api/orders", {"order_ids": ",".join(refs)}, "", operation="OR11", rows="orders", key="order_id"
    )


def fetch_one(session: MiraklSession, ref: str) -> RawPage:
    """One order by its number."""
    return fetch_some(session, [ref])


def translate(page: RawPage, operator: Operator) -> Iterator[Translated]:
    """Orders of one page, in the page's order."""
    body = strict_json(page.body)
    if not isinstance(body, dict) or "orders" not in body:
        raise Malformed("The answer holds no list of orders.", path="orders")
    found = reading.listed(body["orders"], "orders")
    return reading.each(found, "orders", "order_id", lambda row: _order(row, operator))


def _order(row: Row, operator: Operator) -> Iterator[Translated]:
    drift: list[Drift] = []
    mode = str(row.get("order_tax_mode") or "TAX_INCLUDED")
    if mode not in _MODES:
        raise Malformed("The order does not say whether its prices hold the tax.", path="order_tax_mode")
    lines = tuple(_line(x, row, mode, operator, drift) for x in rows(row.get("order_lines"), "order_lines"))
    if not lines:
        raise Malformed("The order has no lines.", path="order_lines")
    total = reading.maybe_money(row, "total_price")
    customer = part(row, "customer")
    yield OrderRecord(
        external_id=text(row, "order_id"),
        site=operator.site.code,
        currency=text(row, "currency_iso_code"),
        ordered_at=reading.instant(row, "created_date"),
        updated_at=reading.instant(row, "last_updated_date"),
        fulfillment=FulfillmentOwner.SELLER,
        lines=lines,
        total=total,
        total_kinds=_TOTAL if total is not None else frozenset(),
        is_business=bool(part(customer, "organization")),
        alias=reading.maybe_text(row, "commercial_id") or "",
        buyer=_buyer(row, customer),
    )
    yield from drift


def _line(row: Row, order: Row, mode: str, operator: Operator, drift: list[Drift]) -> OrderLineRecord:
    raw = text(row, "order_line_state")
    status = reading.word(raw, _STATUS, LineStatus.UNKNOWN, "orders[].order_lines[].order_line_state", drift)
    quantity = reading.count(row, "quantity")
    canceled = sum(
        reading.count(x, "quantity") for x in rows(row.get("cancelations"), "cancelations") if x.get("quantity")
    )
    # Pieces canceled one by one leave the line's quantity: together they are what was ordered.
    ordered = quantity + canceled if status not in _GONE else max(quantity, canceled)
    sent = None if status is LineStatus.UNKNOWN else quantity if status in _SENT else 0
    return OrderLineRecord(
        external_id=text(row, "order_line_id"),
        offer_ref=reading.maybe_text(row, "offer_id"),
        seller_sku=reading.maybe_text(row, "offer_sku"),
        product_ref=reading.maybe_text(row, "product_sku"),
        title=reading.maybe_text(row, "product_title") or "",
        quantity=ordered,
        quantity_shipped=sent,
        quantity_canceled=ordered if status in _GONE else canceled,
        status=status,
        raw_status=raw,
        category=operator.category(reading.maybe_text(row, "category_code")),
        charges=tuple(_charges(row, mode)),
        ship_by=reading.maybe_instant(order, "shipping_deadline"),
        shipped_at=reading.maybe_instant(row, "shipped_date"),
        delivered_at=reading.maybe_instant(row, "received_date"),
        refunds=tuple(_refund(x, mode) for x in rows(row.get("refunds"), "refunds")),
    )


def _charges(row: Row, mode: str) -> Iterator[ChargeRecord]:
    """Price, shipping, buyer's fees and the stated commission; tax only where it stands beside the price."""
    fee, whole = reading.maybe_money(row, "commission_fee"), reading.maybe_money(row, "total_commission")
    yield ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=reading.money(row.get("price"), "price"))
    yield from _some(FeeKind.SHIPPING_PRICE, reading.maybe_money(row, "shipping_price"))
    yield from _some(FeeKind.OTHER_FEE, _sum(row, "fees"))
    if mode == "TAX_EXCLUDED":
        yield from _some(FeeKind.ITEM_TAX, _sum(row, "taxes"))
        yield from _some(FeeKind.SHIPPING_TAX, _sum(row, "shipping_taxes"))
    if fee is not None:
        yield from _some(FeeKind.REFERRAL_FEE, -fee)
        yield from _some(FeeKind.REFERRAL_FEE_TAX, None if whole is None else fee - whole)


def _refund(row: Row, mode: str) -> RefundRecord:
    charges = [
        *_some(FeeKind.ITEM_PRICE, _minus(reading.maybe_money(row, "amount"))),
        *_some(FeeKind.SHIPPING_PRICE, _minus(reading.maybe_money(row, "shipping_amount"))),
        *_some(FeeKind.REFERRAL_FEE, reading.maybe_money(row, "commission_amount")),
        *_some(FeeKind.REFERRAL_FEE_TAX, reading.maybe_money(row, "commission_tax_amount")),
    ]
    if mode == "TAX_EXCLUDED":
        charges += _some(FeeKind.ITEM_TAX, _minus(_sum(row, "taxes")))
        charges += _some(FeeKind.SHIPPING_TAX, _minus(_sum(row, "shipping_taxes")))
    return RefundRecord(
        external_id=text(row, "id"),
        refunded_at=reading.maybe_instant(row, "transaction_date") or reading.maybe_instant(row, "created_date"),
        quantity=reading.maybe_count(row, "quantity"),
        charges=tuple(charges),
        reason=reading.maybe_text(row, "reason_code") or "",
    )


def _some(kind: FeeKind, amount: Decimal | None) -> Iterator[ChargeRecord]:
    if amount:
        yield ChargeRecord(kind=kind, amount=amount)


def _minus(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else -amount


def _sum(row: Row, name: str) -> Decimal | None:
    found = [reading.money(x.get("amount"), f"{name}[].amount") for x in rows(row.get(name), name)]
    return sum(found, Decimal(0)) if found else None


def _buyer(row: Row, customer: Row) -> BuyerRecord | None:
    address = part(customer, "shipping_address")
    if not customer:
        return None
    get = reading.maybe_text
    names = [
        get(address, "firstname") or get(customer, "firstname"),
        get(address, "lastname") or get(customer, "lastname"),
    ]
    return BuyerRecord(
        name=" ".join(x for x in names if x) or None,
        email=get(row, "customer_notification_email"),
        phone=get(address, "phone"),
        company=get(address, "company"),
        street=get(address, "street_1"),
        street2=get(address, "street_2"),
        postal_code=get(address, "zip_code"),
        city=get(address, "city"),
        region=get(address, "state"),
        country=two_letters(get(address, "country_iso_code")) or get(address, "country"),
    )
