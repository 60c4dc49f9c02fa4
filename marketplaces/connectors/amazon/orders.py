"""Amazon orders (API 2026-01-01): by time of last change, with items and proceeds, as order records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from urllib.parse import quote

from marketplaces.connectors.amazon.client import AmazonSession, window_params
from marketplaces.connectors.amazon.sites import BY_ID
from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, SiteSpec, Translated, Window
from marketplaces.protocols import reading
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
)

INCLUDED = "BUYER,RECIPIENT,PROCEEDS,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES"
_PERSONAL = (
    "buyer",
    "recipient",
    "tax.taxRegistrations[]",
    "payment",
    "orderItems[].fulfillment.packing.giftOption.giftMessage",
    "orderItems[].product.customization",
)
#: The same of a page of orders and of one order by itself.
PII_PATHS = tuple(f"{where}.{path}" for where in ("orders[]", "order") for path in _PERSONAL)
_FIELDS = frozenset(
    [
        "orderId",
        "orderAliases",
        "createdTime",
        "lastUpdatedTime",
        "programs",
        "associatedOrders",
        "salesChannel",
        "buyer",
        "recipient",
        "proceeds",
        "payment",
        "tax",
        "fulfillment",
        "orderItems",
        "packages",
        "fulfillmentOrders",
    ]
)
_STATUS = {
    "PENDING_AVAILABILITY": LineStatus.PENDING,
    "PENDING": LineStatus.PENDING,
    "UNSHIPPED": LineStatus.TO_SHIP,
    "PARTIALLY_SHIPPED": LineStatus.PART_SHIPPED,
    "SHIPPED": LineStatus.SHIPPED,
    "CANCELLED": LineStatus.CANCELED,
    "UNFULFILLABLE": LineStatus.CANCELED,
}
_OWNER = {"AMAZON": FulfillmentOwner.MARKETPLACE, "MERCHANT": FulfillmentOwner.SELLER}
_KIND = {
    "ITEM": FeeKind.ITEM_PRICE,
    "SHIPPING": FeeKind.SHIPPING_PRICE,
    "GIFT_WRAP": FeeKind.GIFT_WRAP_PRICE,
    "DISCOUNT": FeeKind.SELLER_DISCOUNT,
    "COD_FEE": FeeKind.OTHER_FEE,
    "OTHER": FeeKind.ADJUSTMENT,
}
_TAX_KIND = {
    "ITEM": FeeKind.ITEM_TAX,
    "SHIPPING": FeeKind.SHIPPING_TAX,
    "GIFT_WRAP": FeeKind.GIFT_WRAP_TAX,
    "DISCOUNT": FeeKind.DISCOUNT_TAX,
    "COD_FEE": FeeKind.ITEM_TAX,
    "OTHER": FeeKind.ITEM_TAX,
}
_TAXES = frozenset(_TAX_KIND.values())
_NEGATIVE = (FeeKind.SELLER_DISCOUNT, FeeKind.DISCOUNT_TAX)


def fetch(session: AmazonSession, window: Window, token: str) -> RawPage:
    """One page of orders changed in the window; all parameters stay the same from page to page."""
    params = {
        **window_params("lastUpdatedAfter", "lastUpdatedBefore", window.since, window.until),
        "marketplaceIds": ",".join(session.marketplace_ids),
        "maxResultsPerPage": "100",
        "includedData": INCLUDED,
    }
    if token:
        params["paginationToken"] = token
    answer = session.call("GET", "/orders/2026-01-01/orders", operation="orders.search", params=params)
    pagination = part(_object(answer.json()), "pagination")
    following = reading.next_token(token, reading.maybe_text(pagination, "nextToken") or "")
    return RawPage(
        body=answer.body,
        content_type="application/json",
        next_token=following,
        name=f"orders-{window.since:%Y%m%dT%H%M%S}",
    )


def fetch_one(session: AmazonSession, ref: str) -> RawPage:
    """One order as it stands. Its limit is ninety times the search's, so events cost the poll nothing."""
    path = f"/orders/2026-01-01/orders/{quote(ref, safe='')}"
    answer = session.call("GET", path, operation="orders.get", params={"includedData": INCLUDED})
    return RawPage(body=answer.body, content_type="application/json", name=f"order-{ref}")


def translate(page: RawPage) -> Iterator[Translated]:
    """Orders of one page, in the page's order; or the one order that was asked for by its number."""
    body = _object(strict_json(page.body))
    if "order" in body:
        return reading.each([part(body, "order")], "order", "orderId", _order)
    if "orders" not in body:
        raise Malformed("The answer holds no list of orders.", path="orders")
    return reading.each(reading.listed(body["orders"], "orders"), "orders", "orderId", _order)


def _object(body: object) -> Row:
    if not isinstance(body, dict):
        raise Malformed("Amazon's answer is no JSON object.")
    return body


def _order(row: Row) -> Iterator[Translated]:
    drift: list[Drift] = list(reading.unknown_fields(row, _FIELDS, "orders[]"))
    channel = part(row, "salesChannel")
    if channel.get("channelName") == "NON_AMAZON":
        # Stock sent out for another shop's order: no sale of this marketplace.
        yield Drift(path="orders[].salesChannel.channelName", value="NON_AMAZON")
        return
    site = BY_ID.get(text(channel, "marketplaceId"))
    if site is None:
        raise Malformed("The marketplace id is none we know.", path="salesChannel.marketplaceId")
    fulfillment, proceeds = part(row, "fulfillment"), part(row, "proceeds")
    status = str(fulfillment.get("fulfillmentStatus") or "")
    state = reading.word(status, _STATUS, LineStatus.UNKNOWN, "orders[].fulfillment.fulfillmentStatus", drift)
    owner = str(fulfillment.get("fulfilledBy") or "")
    packages = rows(row.get("packages"), "packages")
    ship_by = reading.maybe_instant(part(fulfillment, "shipByWindow"), "latestDateTime")
    items = rows(row.get("orderItems"), "orderItems")
    lines = tuple([_line(item, state, status, packages, ship_by, drift) for item in items])
    if not lines:
        raise Malformed("The order has no items.", path="orderItems")
    total, total_kinds = _total(proceeds, lines)
    aliases = rows(row.get("orderAliases"), "orderAliases")
    yield OrderRecord(
        external_id=text(row, "orderId"),
        site=site.code,
        currency=_currency(proceeds, items, site),
        ordered_at=reading.instant(row, "createdTime"),
        updated_at=reading.instant(row, "lastUpdatedTime"),
        fulfillment=reading.word(owner, _OWNER, FulfillmentOwner.UNKNOWN, "orders[].fulfillment.fulfilledBy", drift),
        lines=lines,
        total=total,
        total_kinds=total_kinds,
        is_business="AMAZON_BUSINESS" in (row.get("programs") or ()),
        alias=text(aliases[0], "aliasId") if aliases else "",
        buyer=_buyer(part(row, "buyer"), part(part(row, "recipient"), "deliveryAddress")),
    )
    yield from drift


def _currency(proceeds: Row, items: list[Row], site: SiteSpec) -> str:
    """The one currency of all amounts of the order; the site's where it states none (pending orders)."""
    found = {text(grand, "currencyCode")} if (grand := part(proceeds, "grandTotal")) else set()
    for item in items:
        for breakdown in rows(part(item, "proceeds").get("breakdowns"), "proceeds.breakdowns"):
            found.add(text(part(breakdown, "subtotal"), "currencyCode"))
    if len(found) > 1:
        raise Malformed("The order's amounts are in more than one currency.", path="proceeds")
    return found.pop() if found else site.currency


def _amount(money: Row) -> Decimal:
    return reading.money(money.get("amount"), "amount")


def _total(proceeds: Row, lines: tuple[OrderLineRecord, ...]) -> tuple[Decimal | None, frozenset[FeeKind]]:
    """The stated grand total, and which charges it adds up: those the order's own breakdown names."""
    grand = part(proceeds, "grandTotal")
    named = {str(x.get("type")) for x in rows(proceeds.get("breakdowns"), "proceeds.breakdowns")}
    if not grand or not named:
        return None, frozenset()
    kinds = {_KIND[name] for name in named if name in _KIND} | (_TAXES if "TAX" in named else set())
    present = {charge.kind for line in lines for charge in line.charges}
    return _amount(grand), frozenset(kinds & present) or frozenset({FeeKind.ITEM_PRICE})


def _line(
    item: Row, state: LineStatus, status: str, packages: list[Row], ship_by: datetime | None, drift: list[Drift]
) -> OrderLineRecord:
    line_id, quantity = text(item, "orderItemId"), reading.count(item, "quantityOrdered")
    product, fulfillment = part(item, "product"), part(item, "fulfillment")
    shipped = reading.maybe_count(fulfillment, "quantityFulfilled")
    open_ = reading.maybe_count(fulfillment, "quantityUnfulfilled")
    canceled = max(0, quantity - shipped - open_) if shipped is not None and open_ is not None else None
    if state is LineStatus.CANCELED:
        canceled = quantity if canceled is None else canceled
    own = [
        x for x in packages if any(p.get("orderItemId") == line_id for p in rows(x.get("packageItems"), "packageItems"))
    ]
    sent = [moment for x in own if (moment := reading.maybe_instant(x, "shipTime"))]
    sku = reading.maybe_text(product, "sellerSku")
    return OrderLineRecord(
        external_id=line_id,
        offer_ref=sku,
        seller_sku=sku,
        product_ref=reading.maybe_text(product, "asin"),
        title=reading.maybe_text(product, "title") or "",
        quantity=quantity,
        quantity_shipped=shipped,
        quantity_canceled=canceled,
        status=_line_status(state, quantity, shipped, open_, own),
        raw_status=status,
        category=None,
        charges=tuple(_charges(part(item, "proceeds"), drift)),
        ship_by=ship_by,
        shipped_at=max(sent) if sent else None,
    )


def _line_status(
    state: LineStatus, quantity: int, shipped: int | None, open_: int | None, packages: list[Row]
) -> LineStatus:
    """The order's status, made more exact by what the line itself says about pieces and parcels."""
    if state not in (LineStatus.TO_SHIP, LineStatus.PART_SHIPPED, LineStatus.SHIPPED):
        return state
    if shipped is not None and open_ is not None:
        if shipped == 0 and open_ == 0:
            return LineStatus.CANCELED if quantity == 0 or state is not LineStatus.SHIPPED else state
        state = LineStatus.SHIPPED if open_ == 0 else LineStatus.PART_SHIPPED if shipped else LineStatus.TO_SHIP
    arrived = [part(x, "packageStatus").get("status") == "DELIVERED" for x in packages]
    return LineStatus.DELIVERED if state is LineStatus.SHIPPED and arrived and all(arrived) else state


def _charges(proceeds: Row, drift: list[Drift]) -> list[ChargeRecord]:
    found: list[tuple[FeeKind, Decimal]] = []
    for breakdown in rows(proceeds.get("breakdowns"), "proceeds.breakdowns"):
        name = text(breakdown, "type")
        amount = _amount(part(breakdown, "subtotal"))
        if name == "TAX":
            found += _taxes(breakdown, amount, drift)
        else:
            path = "orders[].orderItems[].proceeds.breakdowns[].type"
            found.append((reading.word(name, _KIND, FeeKind.UNKNOWN, path, drift), amount))
    return [ChargeRecord(kind=kind, amount=_signed(kind, amount)) for kind, amount in found if amount]


def _taxes(breakdown: Row, amount: Decimal, drift: list[Drift]) -> list[tuple[FeeKind, Decimal]]:
    """Tax by what it is on; whatever the details leave open is tax on the item."""
    found: list[tuple[FeeKind, Decimal]] = []
    path = "orders[].orderItems[].proceeds.breakdowns[].detailedBreakdowns[].subtype"
    for detail in rows(breakdown.get("detailedBreakdowns"), "detailedBreakdowns"):
        kind = reading.word(str(detail.get("subtype") or ""), _TAX_KIND, FeeKind.ITEM_TAX, path, drift)
        part_of_it = _amount(part(detail, "value"))
        amount -= _signed(kind, part_of_it)
        found.append((kind, part_of_it))
    return [*found, (FeeKind.ITEM_TAX, amount)]


def _signed(kind: FeeKind, amount: Decimal) -> Decimal:
    """The amount with our sign: what reduces the sale is negative, however the source writes it."""
    return -abs(amount) if kind in _NEGATIVE else amount


def _buyer(buyer: Row, address: Row) -> BuyerRecord | None:
    if not buyer and not address:
        return None
    get = reading.maybe_text
    return BuyerRecord(
        name=get(address, "name") or get(buyer, "buyerName"),
        email=get(buyer, "buyerEmail"),
        phone=get(address, "phone"),
        company=get(address, "companyName") or get(buyer, "buyerCompanyName"),
        street=get(address, "addressLine1"),
        street2=" ".join(x for x in (get(address, "addressLine2"), get(address, "addressLine3")) if x) or None,
        postal_code=get(address, "postalCode"),
        city=get(address, "city"),
        region=get(address, "stateOrRegion"),
        country=get(address, "countryCode"),
    )
