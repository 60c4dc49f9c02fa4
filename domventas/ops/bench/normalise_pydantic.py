"""The reference of bench `normalise`: the payload as pydantic models, and the records made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from pydantic import BaseModel, Field

from marketplaces.connectors.amazon.sites import BY_ID
from marketplaces.records import (
    BuyerRecord,
    ChargeRecord,
    FeeKind,
    FulfillmentOwner,
    LineStatus,
    OrderLineRecord,
    OrderRecord,
)

_KIND = {"ITEM": FeeKind.ITEM_PRICE, "SHIPPING": FeeKind.SHIPPING_PRICE, "DISCOUNT": FeeKind.SELLER_DISCOUNT}
_TAX = {"ITEM": FeeKind.ITEM_TAX, "SHIPPING": FeeKind.SHIPPING_TAX, "DISCOUNT": FeeKind.DISCOUNT_TAX}
_ALL_TAX = {FeeKind.ITEM_TAX, FeeKind.SHIPPING_TAX, FeeKind.GIFT_WRAP_TAX, FeeKind.DISCOUNT_TAX}
_STATUS = {"UNSHIPPED": LineStatus.TO_SHIP, "SHIPPED": LineStatus.SHIPPED, "CANCELLED": LineStatus.CANCELED}
_OWNER = {"AMAZON": FulfillmentOwner.MARKETPLACE, "MERCHANT": FulfillmentOwner.SELLER}


class Money(BaseModel):
    """An amount with its currency."""

    amount: Decimal
    currencyCode: str  # noqa: N815 (the payload's own names, so that no alias slows the reference down)


class Detail(BaseModel):
    """What a part of the tax is on."""

    subtype: str
    value: Money


class Breakdown(BaseModel):
    """One part of the proceeds."""

    type: str
    subtotal: Money
    detailedBreakdowns: list[Detail] = Field(default_factory=list)  # noqa: N815 (as above)


class Proceeds(BaseModel):
    """The parts of what was paid."""

    grandTotal: Money | None = None  # noqa: N815 (as above)
    breakdowns: list[Breakdown] = Field(default_factory=list)


class Article(BaseModel):
    """The article of an item."""

    asin: str | None = None
    title: str | None = None
    sellerSku: str | None = None  # noqa: N815 (as above)


class Pieces(BaseModel):
    """How much of an item is out."""

    quantityFulfilled: int | None = None  # noqa: N815 (as above)
    quantityUnfulfilled: int | None = None  # noqa: N815 (as above)


class Item(BaseModel):
    """An item of an order."""

    orderItemId: str  # noqa: N815 (as above)
    quantityOrdered: int  # noqa: N815 (as above)
    product: Article
    proceeds: Proceeds = Field(default_factory=Proceeds)
    fulfillment: Pieces


class Window(BaseModel):
    """Until when to ship."""

    latestDateTime: datetime | None = None  # noqa: N815 (as above)


class Fulfillment(BaseModel):
    """Who ships, and how far it is."""

    fulfillmentStatus: str  # noqa: N815 (as above)
    fulfilledBy: str  # noqa: N815 (as above)
    shipByWindow: Window = Field(default_factory=Window)  # noqa: N815 (as above)


class Buyer(BaseModel):
    """Who bought."""

    buyerName: str | None = None  # noqa: N815 (as above)
    buyerEmail: str | None = None  # noqa: N815 (as above)
    buyerCompanyName: str | None = None  # noqa: N815 (as above)


class Address(BaseModel):
    """Where it goes."""

    name: str | None = None
    phone: str | None = None
    companyName: str | None = None  # noqa: N815 (as above)
    addressLine1: str | None = None  # noqa: N815 (as above)
    addressLine2: str | None = None  # noqa: N815 (as above)
    addressLine3: str | None = None  # noqa: N815 (as above)
    postalCode: str | None = None  # noqa: N815 (as above)
    city: str | None = None
    stateOrRegion: str | None = None  # noqa: N815 (as above)
    countryCode: str | None = None  # noqa: N815 (as above)


class Recipient(BaseModel):
    """Who receives."""

    deliveryAddress: Address = Field(default_factory=Address)  # noqa: N815 (as above)


class PackageItem(BaseModel):
    """What is inside a parcel."""

    orderItemId: str  # noqa: N815 (as above)


class PackageStatus(BaseModel):
    """Where a parcel is."""

    status: str | None = None


class Package(BaseModel):
    """A parcel."""

    shipTime: datetime | None = None  # noqa: N815 (as above)
    packageStatus: PackageStatus = Field(default_factory=PackageStatus)  # noqa: N815 (as above)
    packageItems: list[PackageItem] = Field(default_factory=list)  # noqa: N815 (as above)


class Channel(BaseModel):
    """Where it was sold."""

    marketplaceId: str  # noqa: N815 (as above)


class Order(BaseModel):
    """An order of the payload."""

    orderId: str  # noqa: N815 (as above)
    createdTime: datetime  # noqa: N815 (as above)
    lastUpdatedTime: datetime  # noqa: N815 (as above)
    programs: list[str] = Field(default_factory=list)
    salesChannel: Channel  # noqa: N815 (as above)
    orderItems: list[Item]  # noqa: N815 (as above)
    buyer: Buyer = Field(default_factory=Buyer)
    recipient: Recipient = Field(default_factory=Recipient)
    proceeds: Proceeds = Field(default_factory=Proceeds)
    fulfillment: Fulfillment
    packages: list[Package] = Field(default_factory=list)


class Page(BaseModel):
    """A page of orders."""

    orders: list[Order]


def read(body: bytes) -> list[OrderRecord]:
    """Orders of one page."""
    return [_record(order) for order in Page.model_validate_json(body).orders]


def _record(order: Order) -> OrderRecord:
    lines = tuple(_line(order, item) for item in order.orderItems)
    named = {part.type for part in order.proceeds.breakdowns}
    kinds = {_KIND[name] for name in named if name in _KIND} | (_ALL_TAX if "TAX" in named else set())
    present = {charge.kind for line in lines for charge in line.charges}
    grand = order.proceeds.grandTotal
    return OrderRecord(
        external_id=order.orderId,
        site=BY_ID[order.salesChannel.marketplaceId].code,
        currency=grand.currencyCode if grand else BY_ID[order.salesChannel.marketplaceId].currency,
        ordered_at=order.createdTime.astimezone(UTC),
        updated_at=order.lastUpdatedTime.astimezone(UTC),
        fulfillment=_OWNER[order.fulfillment.fulfilledBy],
        lines=lines,
        total=grand.amount if grand else None,
        total_kinds=frozenset(kinds & present) if grand else frozenset(),
        is_business="AMAZON_BUSINESS" in order.programs,
        buyer=_buyer(order.buyer, order.recipient.deliveryAddress),
    )


def _line(order: Order, item: Item) -> OrderLineRecord:
    shipped, left = item.fulfillment.quantityFulfilled, item.fulfillment.quantityUnfulfilled
    status, ship_by = _STATUS[order.fulfillment.fulfillmentStatus], order.fulfillment.shipByWindow.latestDateTime
    own = [x for x in order.packages if any(p.orderItemId == item.orderItemId for p in x.packageItems)]
    sent = [x.shipTime.astimezone(UTC) for x in own if x.shipTime]
    if shipped is not None and left is not None and status is not LineStatus.CANCELED:
        status = LineStatus.SHIPPED if left == 0 else LineStatus.PART_SHIPPED if shipped else LineStatus.TO_SHIP
    if status is LineStatus.SHIPPED and own and all(x.packageStatus.status == "DELIVERED" for x in own):
        status = LineStatus.DELIVERED
    known = shipped is not None and left is not None
    return OrderLineRecord(
        external_id=item.orderItemId,
        offer_ref=item.product.sellerSku,
        seller_sku=item.product.sellerSku,
        product_ref=item.product.asin,
        title=item.product.title or "",
        quantity=item.quantityOrdered,
        quantity_shipped=shipped,
        quantity_canceled=max(0, item.quantityOrdered - (shipped or 0) - (left or 0)) if known else None,
        status=status,
        raw_status=order.fulfillment.fulfillmentStatus,
        category=None,
        charges=tuple(_charges(item.proceeds)),
        ship_by=ship_by.astimezone(UTC) if ship_by else None,
        shipped_at=max(sent) if sent else None,
    )


def _charges(proceeds: Proceeds) -> list[ChargeRecord]:
    found = []
    for part in proceeds.breakdowns:
        if part.type != "TAX":
            found.append(ChargeRecord(kind=_KIND[part.type], amount=part.subtotal.amount))
            continue
        left = part.subtotal.amount
        for detail in part.detailedBreakdowns:
            found.append(ChargeRecord(kind=_TAX[detail.subtype], amount=detail.value.amount))
            left -= detail.value.amount
        if left:
            found.append(ChargeRecord(kind=FeeKind.ITEM_TAX, amount=left))
    return found


def _buyer(buyer: Buyer, address: Address) -> BuyerRecord:
    return BuyerRecord(
        name=address.name or buyer.buyerName,
        email=buyer.buyerEmail,
        phone=address.phone,
        company=address.companyName or buyer.buyerCompanyName,
        street=address.addressLine1,
        street2=" ".join(x for x in (address.addressLine2, address.addressLine3) if x) or None,
        postal_code=address.postalCode,
        city=address.city,
        region=address.stateOrRegion,
        country=address.countryCode,
    )
