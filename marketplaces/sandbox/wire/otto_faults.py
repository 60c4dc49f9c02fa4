"""What faults must know of Otto's answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..faults.shapes import Shape
from .http import iso, parse_iso

_LIFE = "orderLifecycleInformation"


def _older_order(order: dict[str, Any]) -> dict[str, Any]:
    """The order as it was before its pieces left."""
    changed = parse_iso(order[_LIFE]["lifecycleChangeDate"])
    if changed:
        before = iso(changed - timedelta(hours=30))
        order |= {"lastModifiedDate": before, _LIFE: {"lifecycleChangeDate": before}}
    for item in order["positionItems"]:
        item["fulfillmentStatus"] = "PROCESSABLE"
        for name in ("sentDate", "trackingInfo", "returnedDate", "returnAcceptedByMarketplace"):
            item.pop(name, None)
    return order


SHAPES = (
    Shape(
        path="/otto/v4/orders",
        rows=("resources",),
        required=(
            "salesOrderId", "orderNumber", "orderDate", f"{_LIFE}.lifecycleChangeDate",
            "positionItems[].positionItemId", "positionItems[].fulfillmentStatus",
            "positionItems[].itemValueGrossPrice.amount", "positionItems[].product.vatRate",
        ),
        optional=("deliveryAddress", "payment", "positionItems[].product.articleNumber"),
        words=("positionItems[].fulfillmentStatus",),
        older=_older_order,
    ),
    Shape(
        path="/otto/v5/products",
        rows=("productVariations",),
        required=("sku", "pricing.standardPrice.amount", "pricing.standardPrice.currency"),
        optional=("productDescription.productLine", "mediaAssets", "moin"),
    ),
    Shape(
        path="/otto/v5/products/marketplace-status",
        rows=("marketPlaceStatus",),
        required=("sku",),
        optional=("information", "lastModified"),
        words=("status",),
    ),
    Shape(
        path="/otto/v2/quantities",
        rows=("resources", "variations"),
        required=("sku",),
        optional=("lastModified", "links"),
    ),
)  # fmt: skip
