"""Otto's offers: products with their price (v5), page by page; status and stock come from calls of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

from marketplaces.connectors.otto.client import OttoSession, following
from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, Translated, Window
from marketplaces.protocols import reading
from marketplaces.protocols.reading import Row, body_of, part, rows, text
from marketplaces.records import Drift, FulfillmentOwner, ListingStatus, OfferRecord

SITE = "otto.de"
_STATUS = {
    "ONLINE": ListingStatus.ACTIVE,
    "PENDING": ListingStatus.INACTIVE,
    "INACTIVE": ListingStatus.INACTIVE,
    "RESTRICTED": ListingStatus.SUPPRESSED,
    "REJECTED": ListingStatus.SUPPRESSED,
}
_MOST_PAGES = 10_000


def fetch(session: OttoSession, window: Window, token: str) -> RawPage:
    """One page of products, put together with what Otto says elsewhere about the same SKUs; the window does not matter.

    Products do not carry their status and stock, nor can those be asked by SKU: they are read whole at the first page.
    """
    if not token or "offers" not in session.kept:
        session.kept["offers"] = _beside(session)
    beside: dict[str, dict[str, Row]] = session.kept["offers"]
    params = {"limit": "100", "page": token or "0"}
    answer = session.call("GET", "/v5/products", operation="products.list", params=params)
    body = body_of(answer)
    skus = [str(row.get("sku")) for row in _list(body, "productVariations") if isinstance(row, dict)]
    found = {name: [known[sku] for sku in skus if sku in known] for name, known in beside.items()}
    if not token:  # rows nobody can tell a SKU of are set aside with the first page
        found = {name: rows + beside[name].get("", {}).get("rows", []) for name, rows in found.items()}
    # The products stand there to the byte; what is put beside them holds no amounts.
    parts = [b'{"products":', answer.body, *(b',"%s":%s' % (k.encode(), _dumped(v)) for k, v in found.items()), b"}"]
    return RawPage(
        body=b"".join(parts),
        content_type="application/json",
        next_token=following(body, "page", token),
        context={"seen_at": reading.iso(session.door.clock())},
        name=f"offers-{token or '0'}",
    )


def _dumped(found: list[Row]) -> bytes:
    # A number with a point becomes text, which no whole number of pieces is: it spoils its own offer only.
    return json.dumps(found, ensure_ascii=False, default=str).encode()


def _beside(session: OttoSession) -> dict[str, dict[str, Row]]:
    """Status and stock of every SKU."""
    return {
        "statuses": _all(
            session, "/v5/products/marketplace-status", "products.status", limit="1000", key="page",
            read=lambda body: _list(body, "marketPlaceStatus"),
        ),
        "quantities": _all(
            session, "/v2/quantities", "quantities.list", limit="200", key="cursor",
            read=lambda body: _list(part(body, "resources"), "variations"),
        ),
    }  # fmt: skip


def _all(session: OttoSession, path: str, operation: str, *, limit: str, key: str, read: Any) -> dict[str, Row]:
    found: dict[str, Row] = {}
    odd: list[Any] = []
    token = ""
    for _ in range(_MOST_PAGES):
        params = {"limit": limit, **({key: token} if token else {})}
        body = body_of(session.call("GET", path, operation=operation, params=params))
        for row in read(body):
            sku = row.get("sku") if isinstance(row, dict) else None
            if isinstance(sku, str) and sku:
                found[sku] = row
            else:
                odd.append(row)
        token = following(body, key, token)
        if not token:
            return found | ({"": {"rows": odd}} if odd else {})
    raise Malformed(f"The pages of {path} do not end.", operation=operation)


def _list(body: Row, name: str) -> list[Any]:
    if name not in body:
        raise Malformed(f"The answer holds no {name}.", path=name)
    return reading.listed(body[name], name)


def translate(page: RawPage) -> Iterator[Translated]:
    """Offers of one page."""
    body = strict_json(page.body)
    if not isinstance(body, dict) or not isinstance(body.get("products"), dict):
        raise Malformed("The answer holds no products.", path="products")
    statuses, stock = _by_sku(body, "statuses"), _by_sku(body, "quantities")
    seen_at = reading.instant(page.context, "seen_at")
    products = reading.each(
        _list(body["products"], "productVariations"), "products.productVariations", "sku",
        lambda row: _offer(row, statuses, stock, seen_at),
    )  # fmt: skip
    odd = (reading.each(body.get(name) or (), name, "sku", _needs_sku) for name in ("statuses", "quantities"))
    return chain(products, *odd)


def _needs_sku(row: Row) -> Iterator[Translated]:
    """Nothing, where the row says whom it is about; what it says stands in the offer."""
    text(row, "sku")
    yield from ()


def _by_sku(body: Row, name: str) -> dict[str, Row]:
    told = (row for row in body.get(name) or () if isinstance(row, dict))
    return {row["sku"]: row for row in told if isinstance(row.get("sku"), str)}


def _offer(row: Row, statuses: dict[str, Row], stock: dict[str, Row], seen_at: datetime) -> Iterator[Translated]:
    drift: list[Drift] = []
    sku = text(row, "sku")
    told = statuses.get(sku, {})
    raw = str(told.get("status") or "").upper()
    price, eans = part(part(row, "pricing"), "standardPrice"), [reading.maybe_text(row, "ean")]
    description = part(row, "productDescription")
    reasons = [str(x.get("title") or x.get("code") or "") for x in rows(told.get("errors"), "errors")]
    yield OfferRecord(
        offer_ref=sku,
        site=SITE,
        seller_sku=sku,
        product_ref=reading.maybe_text(row, "moin") or reading.maybe_text(told, "moin"),
        eans=tuple(x for x in eans if x),
        title=reading.maybe_text(description, "productLine") or "",
        status=reading.word(raw, _STATUS, ListingStatus.UNKNOWN, "statuses[].status", drift),
        raw_status=" ".join([raw, *filter(None, reasons)])[:100],
        fulfillment=FulfillmentOwner.SELLER,
        price=reading.money(price.get("amount"), "amount"),
        currency=text(price, "currency"),
        quantity=reading.maybe_count(stock[sku], "quantity") if sku in stock else None,
        category=reading.maybe_text(description, "category"),
        seen_at=seen_at,
    )
    yield from drift
