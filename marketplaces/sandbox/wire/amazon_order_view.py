"""One order in Amazon's words as of a moment: status, items, proceeds, buyer and packages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from ..world.amounts import LineAmounts, line_amounts
from ..world.model import Line, Order, Package
from ..world.places import SITES
from .http import cents_text, iso

DATASETS = {
    "BUYER",
    "RECIPIENT",
    "PROCEEDS",
    "EXPENSE",
    "PROMOTION",
    "CANCELLATION",
    "FULFILLMENT",
    "PACKAGES",
    "TAX",
    "PAYMENT",
    "FULFILLMENT_ORDERS",
}


def fulfillment_status(order: Order, as_of: datetime) -> str:
    """Where the whole order stands."""
    if order.cancelled_at and order.cancelled_at <= as_of:
        return "CANCELLED"
    if as_of < order.confirmed_at:
        return "PENDING"
    open_lines = [line for line in order.lines if not _past(line.cancelled_at, as_of)]
    shipped = sum(_past(line.shipped_at, as_of) for line in open_lines)
    if not shipped and not any(line.sent for line in open_lines):
        return "UNSHIPPED"
    return "SHIPPED" if shipped == len(open_lines) else "PARTIALLY_SHIPPED"


def order_view(order: Order, as_of: datetime, data: Collection[str]) -> dict[str, Any]:
    """The order with the datasets asked for; a pending order has no proceeds yet."""
    status = fulfillment_status(order, as_of)
    site = SITES[order.site]
    view: dict[str, Any] = {
        "orderId": order.ref,
        "createdTime": iso(order.created_at),
        "lastUpdatedTime": iso(order.updated_at(as_of) or order.created_at),
        "programs": ["PRIME"] if order.fulfilled_by == "AMAZON" else [],
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": site.external_id, "marketplaceName": site.name},
        "orderItems": [_item(order, line, as_of, data, status) for line in order.lines],
    }
    if "BUYER" in data:
        view["buyer"] = {"buyerName": order.buyer.name, "buyerEmail": order.buyer.email}
    if "RECIPIENT" in data and status != "PENDING":
        view["recipient"] = {"deliveryAddress": _address(order)}
    if "PROCEEDS" in data and status not in ("PENDING", "CANCELLED"):
        view["proceeds"] = _order_proceeds(order, as_of)
    if "FULFILLMENT" in data:
        view["fulfillment"] = _fulfillment(order, status)
    if "PACKAGES" in data:
        packages = _packages(order, as_of)
        if packages:
            view["packages"] = packages
    return view


def _past(moment: datetime | None, as_of: datetime) -> bool:
    return moment is not None and moment <= as_of


def _money(cents: int, currency: str) -> dict[str, str]:
    return {"amount": cents_text(cents), "currencyCode": currency}


def _address(order: Order) -> dict[str, str]:
    buyer = order.buyer
    return {
        "name": buyer.name,
        "addressLine1": buyer.street,
        "city": buyer.city,
        "stateOrRegion": buyer.region,
        "postalCode": buyer.postal_code,
        "countryCode": buyer.country,
        "phone": buyer.phone,
        "addressType": "RESIDENTIAL",
    }


def _fulfillment(order: Order, status: str) -> dict[str, Any]:
    view: dict[str, Any] = {
        "fulfillmentStatus": status,
        "fulfilledBy": order.fulfilled_by,
        "fulfillmentServiceLevel": "STANDARD",
    }
    if status != "PENDING":
        due = order.confirmed_at + timedelta(days=3)
        view["shipByWindow"] = {"earliestDateTime": iso(order.confirmed_at), "latestDateTime": iso(due)}
    return view


def _item(order: Order, line: Line, as_of: datetime, data: Collection[str], status: str) -> dict[str, Any]:
    currency = SITES[order.site].currency
    is_cancelled = _past(line.cancelled_at, as_of)
    view: dict[str, Any] = {
        "orderItemId": line.ref,
        "quantityOrdered": line.quantity,
        "product": {
            "asin": line.product.asin,
            "title": line.product.title,
            "sellerSku": line.product.sku,
            "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
        },
    }
    if status != "PENDING":
        view["product"]["price"] = {"unitPrice": _money(line.unit_cents, currency)}
    if "PROCEEDS" in data and status not in ("PENDING", "CANCELLED") and not is_cancelled:
        view["proceeds"] = _item_proceeds(line_amounts(order, line), currency)
    if "PROMOTION" in data and line.discount_cents:
        view["promotion"] = {"breakdowns": [{"promotionId": f"PAWS-V2-{line.product.asin}-10%"}]}
    if "CANCELLATION" in data and is_cancelled:
        view["cancellation"] = {"cancellationExecution": {"cancelledBy": "BUYER", "cancelReason": "NO_LONGER_NEEDED"}}
    if "FULFILLMENT" in data:
        shipped = line.quantity if _past(line.shipped_at, as_of) else line.sent
        view["fulfillment"] = {
            "quantityFulfilled": shipped,
            "quantityUnfulfilled": 0 if is_cancelled else line.quantity - shipped,
        }
    return view


def _parts(amounts: LineAmounts) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """Proceeds by type; their sum is what the buyer pays. Taxes of prices and of the discount stand together."""
    taxes = [("ITEM", amounts.tax), ("SHIPPING", amounts.shipping_tax), ("DISCOUNT", -amounts.discount_tax)]
    return [
        ("ITEM", amounts.principal, []),
        ("TAX", sum(cents for _, cents in taxes), [(name, cents) for name, cents in taxes if cents]),
        ("SHIPPING", amounts.shipping, []),
        ("DISCOUNT", -amounts.discount, [("ITEM", -amounts.discount)]),
    ]


def _item_proceeds(amounts: LineAmounts, currency: str) -> dict[str, Any]:
    breakdowns = []
    for kind, cents, details in _parts(amounts):
        if not cents and kind != "ITEM":
            continue
        entry: dict[str, Any] = {"type": kind, "subtotal": _money(cents, currency)}
        if details:
            entry["detailedBreakdowns"] = [{"subtype": name, "value": _money(c, currency)} for name, c in details]
        breakdowns.append(entry)
    return {"proceedsTotal": _money(amounts.gross, currency), "breakdowns": breakdowns}


def _order_proceeds(order: Order, as_of: datetime) -> dict[str, Any]:
    currency = SITES[order.site].currency
    totals: Counter[str] = Counter()
    for line in order.lines:
        if not _past(line.cancelled_at, as_of):
            for kind, cents, _ in _parts(line_amounts(order, line)):
                totals[kind] += cents
    return {
        "grandTotal": _money(sum(totals.values()), currency),
        "breakdowns": [{"type": kind, "subtotal": _money(cents, currency)} for kind, cents in totals.items() if cents],
    }


def _told(package: Package, order: Order, as_of: datetime) -> dict[str, Any]:
    """A package as the seller told it."""
    lines = [line for line in order.lines if line.ref in package.items]
    is_delivered = all(_past(line.delivered_at, as_of) for line in lines)
    return {
        "packageReferenceId": package.ref,
        "createdTime": iso(package.shipped_at),
        "packageStatus": {"status": "DELIVERED" if is_delivered else "IN_TRANSIT"},
        "carrier": package.carrier,
        "shipTime": iso(package.shipped_at),
        "trackingNumber": package.tracking,
        "packageItems": [{"orderItemId": ref, "quantity": count} for ref, count in package.items.items()],
    }


def _packages(order: Order, as_of: datetime) -> list[dict[str, Any]]:
    packages = [_told(package, order, as_of) for package in order.packages]
    by_itself = [line for line in order.lines if not line.sent]
    for number in sorted({line.package for line in by_itself if _past(line.shipped_at, as_of)}):
        lines = [line for line in by_itself if line.package == number]
        shipped_at = lines[0].shipped_at or order.confirmed_at
        is_delivered = all(_past(line.delivered_at, as_of) for line in lines)
        packages.append(
            {
                "packageReferenceId": f"{order.ref}-{number}",
                "createdTime": iso(shipped_at - timedelta(hours=2)),
                "packageStatus": {"status": "DELIVERED" if is_delivered else "IN_TRANSIT"},
                "carrier": "AMZN" if order.fulfilled_by == "AMAZON" else "DHL",
                "shipTime": iso(shipped_at),
                "trackingNumber": f"JD{order.ref.replace('-', '')}{number}",
                "packageItems": [{"orderItemId": line.ref, "quantity": line.quantity} for line in lines],
            }
        )
    return packages
