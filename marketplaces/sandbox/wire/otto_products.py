"""Otto's catalog (products v5) and stock (quantities v2): what is offered at which price, and whether buyers see it."""

from __future__ import annotations

from typing import Any

from ..world.model import Product
from ..world.otto import moin
from ..world.places import Account
from .http import Request, Response, cents_number, iso, json_response
from .listings_file import is_active, stock
from .otto_base import next_link, number, numbered_page
from .state import State

_SITE = "otto.de"
_CATEGORIES = {
    "home_kitchen": "Kochgeschirr",
    "lighting": "Leuchte",
    "beauty": "Badaccessoire",
    "sports": "Sportzubehör",
    "tools": "Werkzeug",
}
_MAKER = {
    "address": "Am Speicher XI 7, 28217 Bremen",
    "regionCode": "DE",
    "email": "safety@domventas.example",
    "roles": ["MANUFACTURER"],
}


def offered(state: State, request: Request) -> list[Product]:
    """Articles on offer, by SKU; one of them where a `sku` is asked for."""
    sku = request.one("sku")
    return sorted((p for p in state.world.products if _SITE in p.prices and sku in (None, p.sku)), key=lambda p: p.sku)


def list_products(state: State, account: Account, request: Request) -> Response:
    """`GET /v5/products`: at most 100 a page."""
    return numbered_page(request, "productVariations", offered(state, request), _variation, most=100)


def list_statuses(state: State, account: Account, request: Request) -> Response:
    """`GET /v5/products/marketplace-status`: at most 1,000 a page."""
    changed = iso(state.world.now)

    def view(product: Product) -> dict[str, Any]:
        is_on = is_active(product, _SITE)
        errors = [] if is_on else [{"code": "106400", "title": "The article is not approved."}]
        return {
            "sku": product.sku,
            "moin": moin(product),
            "status": "ONLINE" if is_on else "RESTRICTED",
            "errors": errors,
            "information": [],
            "links": [],
            "lastModified": changed,
        }

    return numbered_page(request, "marketPlaceStatus", offered(state, request), view, most=1000)


def list_quantities(state: State, account: Account, request: Request) -> Response:
    """`GET /v2/quantities`: at most 200 a page; the cursor is the last SKU seen."""
    size, after = number(request, "limit", 200, most=200), request.one("cursor") or ""
    found = [product for product in offered(state, request) if product.sku > after]
    changed = iso(state.clock())
    shown: list[dict[str, Any]] = [
        {"sku": p.sku, "quantity": stock(p, _SITE, state.clock()), "lastModified": changed, "links": []}
        for p in found[:size]
    ]
    links = next_link(request.path, cursor=shown[-1]["sku"], limit=size) if len(found) > size else []
    return json_response({"resources": {"variations": shown}, "links": links})


def _variation(product: Product) -> dict[str, Any]:
    price = {"amount": cents_number(product.prices[_SITE]), "currency": "EUR"}
    return {
        "productReference": f"P-{product.sku}",
        "sku": product.sku,
        "ean": product.ean,
        "moin": moin(product),
        "productDescription": {
            "category": _CATEGORIES[product.category],
            "brandId": f"{product.brand.upper()}1",
            "productLine": product.title[:70],
            "multiPack": False,
            "bundle": False,
            "attributes": [],
        },
        "mediaAssets": [{"type": "IMAGE", "location": f"https://media.domventas.example/{product.ean}.jpg"}],
        "delivery": {"type": "PARCEL", "deliveryTime": 2},
        "pricing": {"standardPrice": price, "vat": "FULL"},
        "logistics": {
            "packingUnitCount": 1,
            "packingUnits": [{"weight": product.weight_g, "width": 300, "height": 200, "length": 400}],
        },
        "compliance": {"productSafety": {"addresses": [_MAKER | {"name": f"{product.brand} GmbH"}]}},
    }
