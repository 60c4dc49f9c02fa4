"""Otto orders (v4): by time of last change; every position item is one piece and becomes one line."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import quote

from marketplaces.connectors.otto.client import OttoSession, following
from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, Translated, Window
from marketplaces.protocols import reading
from marketplaces.protocols.countries import two_letters
from marketplaces.protocols.reading import Row, body_of, part, rows, text
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

SITE = "otto.de"
PII_PATHS = ("resources[].deliveryAddress", "resources[].invoiceAddress")
_PAGE = 128
_CENT = Decimal("0.01")
_FIELDS = frozenset(
    [
        "salesOrderId",
        "orderNumber",
        "orderDate",
        "lastModifiedDate",
        "orderLifecycleInformation",
        "payment",
        "suspectedFraudCase",
        "positionItems",
        "initialDeliveryFees",
        "initialDiscounts",
        "invoiceAddress",
        "deliveryAddress",
        "links",
    ]
)
_STATUS = {
    "ANNOUNCED": LineStatus.PENDING,
    "PROCESSABLE": LineStatus.TO_SHIP,
    "SENT": LineStatus.SHIPPED,
    "RETURNED": LineStatus.CLOSED,
    "CANCELLED_BY_PARTNER": LineStatus.CANCELED,
    "CANCELLED_BY_MARKETPLACE": LineStatus.CANCELED,
}
_SENT = (LineStatus.SHIPPED, LineStatus.CLOSED)


def fetch(session: OttoSession, window: Window, token: str) -> RawPage:
    """One page of orders changed since the window's begin, oldest change first; a cursor replaces the question.

    There is no end to ask for, and an order that changes meanwhile moves to the end of the line: none is missed.
    """
    asked = {"nextcursor": token} if token else {
        "fromDate": reading.iso(window.since),
        "orderColumnType": "ORDER_LIFECYCLE_DATE",
        "orderDirection": "ASC",
    }  # fmt: skip
    params = {**asked, "limit": str(_PAGE)}
    answer = session.call("GET", "/v4/orders", operation="orders.list", params=params)
    return RawPage(
        body=answer.body,
        content_type="application/json",
        next_token=following(body_of(answer), "nextcursor", token),
        name=f"orders-{window.since:%Y%m%dT%H%M%S}",
    )


def fetch_one(session: OttoSession, ref: str) -> RawPage:
    """One order as it stands, by its id or by the number people know, as a page with nothing else in it."""
    answer = session.call("GET", f"/v4/orders/{quote(ref, safe='')}", operation="orders.get")
    body_of(answer)  # an order, or nothing that could stand in a list
    return RawPage(
        body=b'{"resources":[' + answer.body.removeprefix(BOM_UTF8) + b"]}",
        content_type="application/json",
        name=f"order-{ref}",
    )


def translate(page: RawPage) -> Iterator[Translated]:
    """Orders of one page, in the page's order."""
    body = strict_json(page.body)
    if not isinstance(body, dict) or "resources" not in body:
        raise Malformed("The answer holds no list of orders.", path="resources")
    return reading.each(reading.listed(body["resources"], "resources"), "resources", "salesOrderId", _order)


def _order(row: Row) -> Iterator[Translated]:
    drift: list[Drift] = list(reading.unknown_fields(row, _FIELDS, "resources[]"))
    items = rows(row.get("positionItems"), "positionItems")
    if not items:
        raise Malformed("The order has no position items.", path="positionItems")
    currency = _currency(items)
    fees, discounts = _delivery_fees(row, items, currency), _discount_names(row)
    changed = reading.instant(part(row, "orderLifecycleInformation"), "lifecycleChangeDate")
    yield OrderRecord(
        external_id=text(row, "salesOrderId"),
        site=SITE,
        currency=currency,
        ordered_at=reading.instant(row, "orderDate"),
        updated_at=max(changed, reading.maybe_instant(row, "lastModifiedDate") or changed),
        fulfillment=FulfillmentOwner.SELLER,
        lines=tuple([_line(item, fees, discounts, drift) for item in items]),
        alias=text(row, "orderNumber"),
        buyer=_buyer(part(row, "deliveryAddress"), part(row, "invoiceAddress")),
    )
    yield from drift


def _currency(items: list[Row]) -> str:
    found = {text(part(item, "itemValueGrossPrice"), "currency") for item in items}
    if len(found) > 1:
        raise Malformed("The order's amounts are in more than one currency.", path="positionItems")
    return found.pop()


def _amount(money: Row, currency: str) -> Decimal:
    if text(money, "currency") != currency:
        raise Malformed("The order's amounts are in more than one currency.", path="currency")
    return reading.money(money.get("amount"), "amount")


def _split(gross: Decimal, rate: Decimal) -> tuple[Decimal, Decimal]:
    """Net amount and the VAT inside a price, rounded once, half up."""
    tax = (gross * rate / (100 + rate)).quantize(_CENT, ROUND_HALF_UP)
    return gross - tax, tax


def _rate(row: Row) -> Decimal:
    """The VAT rate [percent] that a price is stated with.

    Raises: Malformed: it is missing, or none there can be; guessing it would move money between us and the tax office.
    """
    rate = reading.money(row.get("vatRate"), "vatRate")
    if not 0 <= rate < 100:
        raise Malformed("vatRate is no rate of VAT.", path="vatRate")
    return rate


def _delivery_fees(row: Row, items: list[Row], currency: str) -> dict[str, list[ChargeRecord]]:
    """The fee for several pieces stands on the first of them that is not canceled, as it is due once."""
    gone = {text(x, "positionItemId") for x in items if str(x.get("fulfillmentStatus")).startswith("CANCELLED")}
    known = [text(x, "positionItemId") for x in items]
    found: dict[str, list[ChargeRecord]] = {}
    for fee in rows(row.get("initialDeliveryFees"), "initialDeliveryFees"):
        named = fee.get("positionItemIds")
        ids = [x for x in known if isinstance(named, list) and x in named]
        if not ids:
            raise Malformed("The delivery fee is for none of the order's pieces.", path="initialDeliveryFees")
        net, tax = _split(_amount(part(fee, "deliveryFeeAmount"), currency), _rate(fee))
        payer = next((x for x in ids if x not in gone), ids[0])
        charges = found.setdefault(payer, [])
        charges += _some(FeeKind.SHIPPING_PRICE, net)
        charges += _some(FeeKind.SHIPPING_TAX, tax)
    return found


def _discount_names(row: Row) -> dict[str, str]:
    """Which kind of discount a piece has: only what the partner gives costs him."""
    return {
        str(ref): text(discount, "name")
        for discount in rows(row.get("initialDiscounts"), "initialDiscounts")
        for ref in discount.get("positionItemIds") or ()
    }


def _line(item: Row, fees: dict[str, list[ChargeRecord]], names: dict[str, str], drift: list[Drift]) -> OrderLineRecord:
    raw, ref, product = text(item, "fulfillmentStatus"), text(item, "positionItemId"), part(item, "product")
    status = reading.word(raw, _STATUS, LineStatus.UNKNOWN, "resources[].positionItems[].fulfillmentStatus", drift)
    sku, goods = text(product, "sku"), _goods(item, product, names.get(ref, ""), drift)
    return OrderLineRecord(
        external_id=ref,
        offer_ref=sku,
        seller_sku=sku,
        product_ref=reading.maybe_text(product, "articleNumber"),
        title=reading.maybe_text(product, "productTitle") or "",
        quantity=1,
        quantity_shipped=None if status is LineStatus.UNKNOWN else int(status in _SENT),
        quantity_canceled=None if status is LineStatus.UNKNOWN else int(status is LineStatus.CANCELED),
        status=status,
        raw_status=raw,
        category=None,
        charges=(*goods, *fees.get(ref, ())),
        # Otto names no day of dispatch: on the day the piece should arrive, it is too late for sure.
        ship_by=reading.maybe_instant(item, "expectedDeliveryDate"),
        shipped_at=reading.maybe_instant(item, "sentDate"),
        refunds=(_refund(item, ref, goods),) if raw == "RETURNED" else (),
    )


def _goods(item: Row, product: Row, discount_name: str, drift: list[Drift]) -> list[ChargeRecord]:
    """Price and discount of a piece, the VAT inside them apart."""
    price, rate = part(item, "itemValueGrossPrice"), _rate(product)
    currency = text(price, "currency")
    net, tax = _split(_amount(price, currency), rate)
    found = [*_some(FeeKind.ITEM_PRICE, net), *_some(FeeKind.ITEM_TAX, tax)]
    if discount := part(item, "itemValueDiscount"):
        net, tax = _split(_amount(discount, currency), rate)
        if discount_name and not discount_name.startswith("PARTNER"):
            drift.append(Drift(path="resources[].initialDiscounts[].name", value=discount_name[:100]))
        found += [*_some(FeeKind.SELLER_DISCOUNT, -net), *_some(FeeKind.DISCOUNT_TAX, -tax)]
    return found


def _some(kind: FeeKind, amount: Decimal) -> Iterator[ChargeRecord]:
    if amount:
        yield ChargeRecord(kind=kind, amount=amount)


def _refund(item: Row, ref: str, goods: list[ChargeRecord]) -> RefundRecord:
    """A piece that came back and was taken: its buyer pays nothing for it; the delivery fee stays."""
    return RefundRecord(
        external_id=f"{ref}-return",
        refunded_at=reading.maybe_instant(item, "returnedDate"),
        quantity=1,
        charges=tuple(ChargeRecord(kind=charge.kind, amount=-charge.amount) for charge in goods),
        reason="RETURNED",
    )


def _buyer(delivery: Row, invoice: Row) -> BuyerRecord | None:
    """Who gets the parcel; before the payment is sure, Otto tells no address at all."""
    if not delivery and not invoice:
        return None
    get, address = reading.maybe_text, delivery or invoice
    return BuyerRecord(
        name=" ".join(x for x in (get(address, "firstName"), get(address, "lastName")) if x) or None,
        email=get(delivery, "email") or get(invoice, "email"),
        phone=get(delivery, "phoneNumber") or get(invoice, "phoneNumber"),
        street=" ".join(x for x in (get(address, "street"), get(address, "houseNumber")) if x) or None,
        street2=get(address, "addition"),
        postal_code=get(address, "zipCode"),
        city=get(address, "city"),
        country=two_letters(get(address, "countryCode")),
    )
