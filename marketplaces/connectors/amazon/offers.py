"""Amazon offers: one listings report per site, looked after together and read as one snapshot.

An account may sell on more sites than Amazon lets us ask for, or fetch, at once: what the budget does not allow now is
left in the reference and done at the next step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from marketplaces.connectors.amazon import reports
from marketplaces.connectors.amazon.client import AmazonSession
from marketplaces.connectors.amazon.sites import BY_CODE, BY_ID
from marketplaces.errors import BorderError, Malformed, Unavailable
from marketplaces.port import RawPage, ReportState, SiteSpec, Translated, Window
from marketplaces.protocols import reading, sheets
from marketplaces.protocols.reading import Row
from marketplaces.records import Drift, FulfillmentOwner, ListingStatus, OfferRecord

REPORT_TYPE = "GET_MERCHANT_LISTINGS_ALL_DATA"
_NEEDED = ("seller-sku", "price", "quantity", "status")
_STATUS = {
    "active": ListingStatus.ACTIVE,
    "inactive": ListingStatus.INACTIVE,
    "incomplete": ListingStatus.INACTIVE,
    "suppressed": ListingStatus.SUPPRESSED,
}
_PART = re.compile(rb"# site (\S+) bytes (\d+) type ([^\n]*)\n")
_EAN = re.compile(r"\d{8}|\d{12,14}")


def request(session: AmazonSession, window: Window) -> str:
    """Ask for the report of every site of the account; returns `id@COUNTRY;id@COUNTRY`, without id what is left to ask.

    The report does not name its site, so each site needs its own.

    Raises: BorderError: not even the first could be asked for.
    """
    return _asked(session, ";".join(f"@{site.country}" for site in session.door.sites))


def _asked(session: AmazonSession, ref: str) -> str:
    """Ask for what is left to be asked for, as far as it goes. Raises: BorderError: it did not get anywhere."""
    told: list[str] = []
    got, problem = 0, None
    for report_ref, site in _parts(session, ref):
        if not report_ref and problem is None:
            try:
                report_ref, got = reports.create(session, REPORT_TYPE, site.external_id), got + 1
            except BorderError as error:
                problem = error
        told.append(f"{report_ref}@{site.country}")
    if problem is not None and not got:
        raise problem
    return ";".join(told) if got else ref


def _parts(session: AmazonSession, ref: str) -> Iterator[tuple[str, SiteSpec]]:
    """The reports in a reference; one of a site that was switched off meanwhile is nobody's concern any more."""
    by_country = {site.country: site for site in session.door.sites}
    for each in ref.split(";"):
        report_ref, _, country = each.partition("@")
        if country in by_country:
            yield report_ref, by_country[country]


def poll(session: AmazonSession, report_ref: str) -> ReportState:
    """Done when the reports of all sites are; failed when one is."""
    if (asked := _asked(session, report_ref)) != report_ref:
        return ReportState(status="processing", report_ref=asked)  # written down before anything else can go wrong
    states = [reports.poll(session, ref) for ref, _ in _parts(session, report_ref)]
    found = {state.status for state in states}
    for status in ("failed", "processing"):
        if status in found:
            return ReportState(status=status, message=next(x.message for x in states if x.status == status))
    return ReportState(status="done" if "done" in found else "empty", document_ref=report_ref)


def download(session: AmazonSession, document_ref: str) -> RawPage:
    """The document of the first of these sites that has one, behind a line that names its site, length and type."""
    body, seen_at, name = b"", reading.iso(session.door.clock()), document_ref
    parts = list(_parts(session, document_ref))
    while parts and not body:
        report_ref, site = parts.pop(0)
        name = f"{report_ref}@{site.country}"
        state = reports.poll(session, report_ref)
        if state.status in ("processing", "failed"):  # it was done when we asked before
            raise Unavailable("The report of one site is not there any more.", operation="reports.get")
        if state.status == "done":
            page = reports.download(session, state.document_ref)
            head = f"# site {site.external_id} bytes {len(page.body)} type {page.content_type}\n"
            body, seen_at = head.encode() + page.body + b"\n", page.context["seen_at"]
    return RawPage(
        body=body,
        content_type="application/octet-stream",
        next_token=";".join(f"{ref}@{site.country}" for ref, site in parts),
        context={"seen_at": seen_at},
        name=name,
    )


def translate(page: RawPage) -> Iterator[Translated]:
    """Offers of the sites in the page; pages kept from before hold all of an account."""
    seen_at = reading.instant(page.context, "seen_at")
    position = 0
    while position < len(page.body):
        head = _PART.match(page.body, position)
        if head is None:
            raise Malformed("The stored page is damaged: a site's part does not begin where it should.")
        start, length = head.end(), int(head[2])
        position = start + length + 1
        if position > len(page.body):
            raise Malformed("The stored page is cut off.")
        yield from _site(page.body[start : start + length], BY_ID[head[1].decode()], head[3].decode(), seen_at)


def _site(body: bytes, site: SiteSpec, content_type: str, seen_at: datetime) -> Iterator[Translated]:
    text, _ = sheets.decode(body, content_type)
    lines = text.split("\n")
    names = [name.strip().lower() for name in lines[0].rstrip("\r").split("\t")]
    if missing := [name for name in _NEEDED if name not in names]:
        raise Malformed(f"The listings report of {site.label} lacks the columns {', '.join(missing)}.")
    found = [
        {**dict(zip(names, line.rstrip("\r").split("\t"), strict=False)), "_fields": line.count("\t") + 1}
        for line in lines[1:]
        if line.strip()
    ]

    def read(row: Row) -> Iterator[Translated]:
        if row["_fields"] != len(names):
            raise Malformed(f"The row has {row['_fields']} of {len(names)} fields.")
        return _offer(row, site, seen_at)

    return reading.each(found, f"{site.code}", "seller-sku", read)


def _offer(row: Row, site: SiteSpec, seen_at: datetime) -> Iterator[Translated]:
    sku, raw_status = reading.text(row, "seller-sku"), str(row["status"]).strip()
    drift: list[Drift] = []
    channel = str(row.get("fulfillment-channel") or "").strip().upper()
    quantity = str(row["quantity"]).strip()
    product_id = str(row.get("product-id") or "").strip()
    yield OfferRecord(
        offer_ref=sku,
        site=BY_CODE[site.code].code,
        seller_sku=sku,
        product_ref=str(row.get("asin1") or "").strip() or None,
        eans=(product_id,) if _EAN.fullmatch(product_id) else (),
        title=str(row.get("item-name") or "").strip(),
        status=reading.word(raw_status.lower(), _STATUS, ListingStatus.UNKNOWN, "listings.status", drift),
        raw_status=raw_status,
        fulfillment=_owner(channel),
        price=_price(str(row["price"]).strip()),
        currency=site.currency,
        quantity=_whole(quantity) if quantity else None,
        category=None,
        seen_at=seen_at,
    )
    yield from drift


def _owner(channel: str) -> FulfillmentOwner:
    if channel.startswith("AMAZON"):
        return FulfillmentOwner.MARKETPLACE
    return FulfillmentOwner.SELLER if channel == "DEFAULT" else FulfillmentOwner.UNKNOWN


def _whole(text: str) -> int:
    if not text.isdigit():
        raise Malformed(f"“{text[:20]}” is no number of pieces.", path="quantity")
    return int(text)


def _price(text: str) -> Decimal | None:
    """A price with two decimals at most, whichever mark the site writes."""
    return reading.money(text.replace(",", "."), "price") if text else None
