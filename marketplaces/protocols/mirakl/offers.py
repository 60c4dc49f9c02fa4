"""Mirakl offers (OF21): everything the shop offers now, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from marketplaces.errors import Malformed
from marketplaces.http import strict_json
from marketplaces.port import RawPage, Translated, Window
from marketplaces.protocols import reading
from marketplaces.protocols.mirakl.client import MiraklSession
from marketplaces.protocols.mirakl.operator import Operator
from marketplaces.protocols.reading import Row, rows, text
from marketplaces.records import FulfillmentOwner, ListingStatus, OfferRecord

_CODES = ("EAN", "UPC", "GTIN")


def fetch(session: MiraklSession, window: Window, token: str) -> RawPage:
    """One page of offers; the window does not matter."""
    return session.offset_page("/api/offers", {}, token, operation="OF21", rows="offers", key="offer_id")


def translate(page: RawPage, operator: Operator) -> Iterator[Translated]:
    """Offers of one page."""
    body = strict_json(page.body)
    if not isinstance(body, dict) or "offers" not in body:
        raise Malformed("The answer holds no list of offers.", path="offers")
    seen_at = reading.instant(page.context, "seen_at")
    return reading.each(
        reading.listed(body["offers"], "offers"), "offers", "offer_id", lambda row: _offer(row, operator, seen_at)
    )


def _offer(row: Row, operator: Operator, seen_at: datetime) -> Iterator[Translated]:
    active = row.get("active")
    if not isinstance(active, bool):
        raise Malformed("The offer does not say whether it is active.", path="active")
    reasons = [str(x) for x in row.get("inactivity_reasons") or ()]
    references = rows(row.get("product_references"), "product_references")
    yield OfferRecord(
        offer_ref=text(row, "offer_id"),
        site=operator.site.code,
        seller_sku=reading.maybe_text(row, "shop_sku"),
        product_ref=reading.maybe_text(row, "product_sku"),
        eans=tuple(text(x, "reference") for x in references if x.get("reference_type") in _CODES),
        title=reading.maybe_text(row, "product_title") or "",
        status=ListingStatus.ACTIVE if active else ListingStatus.INACTIVE,
        raw_status="ACTIVE" if active else ",".join(reasons)[:100] or "INACTIVE",
        fulfillment=FulfillmentOwner.SELLER,
        price=reading.maybe_money(row, "price"),
        currency=text(row, "currency_iso_code"),
        quantity=reading.maybe_count(row, "quantity"),
        category=operator.category(reading.maybe_text(row, "category_code")),
        seen_at=seen_at,
    )
