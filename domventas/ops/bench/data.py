"""The bench's own client and its orders: made from a number, so that every run and every machine sees the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from catalog.models import Brand, Listing, Product, Sku
from domventas.core import tenancy
from domventas.core.models import Client
from marketplaces.connectors.amazon.sites import BY_CODE
from marketplaces.models import Account, AccountSite, Site
from marketplaces.services.sites import sync_sites

CLIENT = "bench"
SKUS = 500
SITES = ("amazon.de", "amazon.fr")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
_A_YEAR = 300 * 86_400


def make_client() -> tuple[Client, Account]:
    """The client, an account on two sites, and a listing there of every SKU; as the caller's connection."""
    sync_sites(using="ops")
    client = Client.objects.create(slug=CLIENT, name="Bench")
    with tenancy.acting_for(client, actor="bench"):
        account = Account.objects.create(code="amazon-eu", name="amazon-eu", channel="amazon", external_id="BENCH")
        sites = list(Site.objects.filter(code__in=SITES))
        AccountSite.objects.bulk_create(AccountSite(account=account, site=site) for site in sites)
        brand = Brand.objects.create(code="bench", name="Bench")
        products = Product.objects.bulk_create(
            Product(brand=brand, code=sku(n), title=f"Article {n}", category="sports") for n in range(SKUS)
        )
        skus = Sku.objects.bulk_create(
            Sku(product=product, code=product.code, name=product.code, weight_g=400) for product in products
        )
        Listing.objects.bulk_create(
            Listing(account=account, site=site, offer_ref=each.code, sku=each, seller_sku=each.code, currency="EUR")
            for site in sites
            for each in skus
        )
    return client, account


def sku(number: int) -> str:
    """Code of a SKU, and the seller SKU it has at the marketplace."""
    return f"SKU-{number % SKUS:06d}"


def page(first: int, count: int, *, shipped_every: int = 0) -> bytes:
    """A page of orders as the marketplace's API answers; of every so many, one has been shipped since."""
    orders = [order(n, is_shipped=bool(shipped_every) and n % shipped_every == 0) for n in range(first, first + count)]
    return json.dumps({"pagination": {}, "orders": orders}).encode()


def pages(orders: int, size: int, *, shipped_every: int = 0) -> Iterator[bytes]:
    """All orders in pages of that size."""
    for first in range(0, orders, size):
        yield page(first, min(size, orders - first), shipped_every=shipped_every)


def order(number: int, *, is_shipped: bool) -> dict[str, Any]:
    """One order in the marketplace's words; 1.8 lines on average."""
    site = BY_CODE[SITES[number % len(SITES)]]
    ordered = SINCE + timedelta(seconds=number * 7919 % _A_YEAR)
    reference = f"{300 + number % 700:03d}-{number * 7919 % 10_000_000:07d}-{number:07d}"
    items = [_item(number, k, is_shipped) for k in range((4, 2, 1, 1, 1)[number % 5])]
    totals: dict[str, int] = {}
    for item in items:
        for part in item["proceeds"]["breakdowns"]:
            totals[part["type"]] = totals.get(part["type"], 0) + _cents(part["subtotal"]["amount"])
    found: dict[str, Any] = {
        "orderId": reference,
        "createdTime": _iso(ordered),
        "lastUpdatedTime": _iso(ordered + timedelta(hours=30 if is_shipped else 1)),
        "programs": ["PRIME"] if number % 3 else [],
        "salesChannel": {
            "channelName": "AMAZON", "marketplaceId": site.external_id, "marketplaceName": site.label,
        },
        "orderItems": items,
        "buyer": {"buyerName": f"Buyer {number}", "buyerEmail": f"b{number}@marketplace.example"},
        "recipient": {"deliveryAddress": _address(number, site.country)},
        "proceeds": {
            "grandTotal": _money(sum(totals.values())),
            "breakdowns": [{"type": kind, "subtotal": _money(cents)} for kind, cents in totals.items()],
        },
        "fulfillment": {
            "fulfillmentStatus": "SHIPPED" if is_shipped else "UNSHIPPED",
            "fulfilledBy": "AMAZON" if number % 3 else "MERCHANT",
            "fulfillmentServiceLevel": "STANDARD",
            "shipByWindow": {
                "earliestDateTime": _iso(ordered + timedelta(hours=1)),
                "latestDateTime": _iso(ordered + timedelta(days=3)),
            },
        },
    }  # fmt: skip
    if is_shipped:
        found["packages"] = [_package(reference, ordered, items)]
    return found


def _item(number: int, k: int, is_shipped: bool) -> dict[str, Any]:
    quantity = 1 if (number + k) % 7 else 2
    gross = (500 + (number * 31 + k * 17) * 7919 % 14_500) * quantity
    shipping = 490 if k == 0 and number % 5 < 2 else 0
    tax, shipping_tax = gross * 19 // 119, shipping * 19 // 119
    taxes = [("ITEM", tax), ("SHIPPING", shipping_tax)]
    parts: list[dict[str, Any]] = [
        {"type": "ITEM", "subtotal": _money(gross - tax)},
        {
            "type": "TAX", "subtotal": _money(tax + shipping_tax),
            "detailedBreakdowns": [{"subtype": name, "value": _money(cents)} for name, cents in taxes if cents],
        },
    ]  # fmt: skip
    if shipping:
        parts.append({"type": "SHIPPING", "subtotal": _money(shipping - shipping_tax)})
    code = sku((number * 13 + k) * 7919)
    return {
        "orderItemId": f"{number}{k:02d}",
        "quantityOrdered": quantity,
        "product": {
            "asin": f"B0{(number * 13 + k) * 7919 % SKUS:08d}", "title": f"Article {code} with a title as long as most",
            "sellerSku": code, "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
            "price": {"unitPrice": _money(gross // quantity)},
        },
        "proceeds": {"proceedsTotal": _money(gross + shipping), "breakdowns": parts},
        "fulfillment": {
            "quantityFulfilled": quantity if is_shipped else 0, "quantityUnfulfilled": 0 if is_shipped else quantity,
        },
    }  # fmt: skip


def _package(reference: str, ordered: datetime, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "packageReferenceId": f"{reference}-1",
        "createdTime": _iso(ordered + timedelta(hours=28)),
        "packageStatus": {"status": "IN_TRANSIT"},
        "carrier": "DHL",
        "shipTime": _iso(ordered + timedelta(hours=30)),
        "trackingNumber": f"JD{reference}",
        "packageItems": [{"orderItemId": x["orderItemId"], "quantity": x["quantityOrdered"]} for x in items],
    }


def _address(number: int, country: str) -> dict[str, str]:
    return {
        "name": f"Buyer {number}", "addressLine1": f"Long Street {number % 200}", "city": "Hamburg",
        "stateOrRegion": "HH", "postalCode": f"{number % 90_000 + 10_000}", "countryCode": country,
        "phone": f"+49 40 {number:07d}", "addressType": "RESIDENTIAL",
    }  # fmt: skip


def _money(cents: int) -> dict[str, str]:
    return {"amount": f"{cents // 100}.{cents % 100:02d}", "currencyCode": "EUR"}


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
