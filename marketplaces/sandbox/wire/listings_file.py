"""The listings report (GET_MERCHANT_LISTINGS_ALL_DATA): every offer of one site with price, stock and status."""

from __future__ import annotations

from datetime import datetime, timedelta
from zlib import crc32

from ..world.model import Product
from ..world.places import Account, Site
from .http import cents_text

_COLUMNS = (
    "item-name",
    "item-description",
    "listing-id",
    "seller-sku",
    "price",
    "quantity",
    "open-date",
    "image-url",
    "item-is-marketplace",
    "product-id-type",
    "zshop-shipping-fee",
    "item-note",
    "item-condition",
    "zshop-category1",
    "zshop-browse-path",
    "zshop-storefront-feature",
    "asin1",
    "asin2",
    "asin3",
    "will-ship-internationally",
    "expedited-shipping",
    "zshop-boldface",
    "product-id",
    "bid-for-featured-placement",
    "add-delete",
    "pending-quantity",
    "fulfillment-channel",
    "merchant-shipping-group",
    "status",
)


def stock(product: Product, site: str, clock: datetime) -> int:
    """Units on offer that day: the same for the same day, and now and then nothing."""
    drawn = crc32(f"{product.sku}:{site}:{clock:%Y-%m-%d}".encode()) % 140
    return max(0, drawn - 8)


def is_active(product: Product, site: str) -> bool:
    """One offer in twenty-five is switched off."""
    return crc32(f"{product.sku}:{site}".encode()) % 25 != 0


def listings_file(account: Account, site: Site, products: list[Product], clock: datetime) -> tuple[bytes, str]:
    """The report's bytes and content type; European reports come in Windows-1252."""
    lines = ["\t".join(_COLUMNS)]
    for product in products:
        if site.code in product.prices:
            values = _listing(account, site, product, clock)
            lines.append("\t".join(values.get(column, "") for column in _COLUMNS))
    charset = "Cp1252" if account.region == "eu" else "UTF-8"
    return ("\n".join(lines) + "\n").encode(charset), f"text/plain; charset={charset}"


def _listing(account: Account, site: Site, product: Product, clock: datetime) -> dict[str, str]:
    opened = clock.replace(microsecond=0) - timedelta(days=200 + product.offer_id % 300)
    return {
        "item-name": product.title,
        "listing-id": f"{opened:%m%d}X{product.offer_id}",
        "seller-sku": product.sku,
        "price": cents_text(product.prices[site.code]),
        "quantity": "" if product.is_fba else str(stock(product, site.code, clock)),
        "open-date": f"{opened:%d/%m/%Y} 09:14:07 {'MET' if account.region == 'eu' else 'PST'}",
        "item-is-marketplace": "y",
        "product-id-type": "1",
        "item-condition": "11",
        "asin1": product.asin,
        "product-id": product.asin,
        "pending-quantity": "0",
        "fulfillment-channel": f"AMAZON_{account.region.upper()}" if product.is_fba else "DEFAULT",
        "status": "Active" if is_active(product, site.code) else "Inactive",
    }
