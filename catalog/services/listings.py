"""Taking in the live offers of an account: what buyers see now, and which SKU of ours it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import transaction

from catalog.models import Listing
from catalog.services import identity, mapping
from catalog.services.identity import Known, Offered, Unknown
from domventas.core import bulk
from domventas.core.money import is_currency
from marketplaces.models import Account
from marketplaces.records import OfferRecord, Rejected
from marketplaces.signals import listing_changed

_COLUMNS: Final = (
    "account", "site", "offer_ref", "sku", "seller_sku", "product_ref", "title", "category", "fulfillment", "status",
    "raw_status", "live_price", "currency", "live_quantity", "seen_at", "raw_id",
)  # fmt: skip
_REASONS: Final = tuple(name for name in _COLUMNS[3:] if name not in ("seen_at", "raw_id"))


@dataclass(slots=True)
class Ingested:
    """What became of a page of offers."""

    seen: int = 0
    written: int = 0
    rejected: list[Rejected] = field(default_factory=list)


def ingest(account: Account, records: Iterable[OfferRecord], *, now: datetime, raw_id: int | None = None) -> Ingested:
    """Store offers; of several states of one offer the newest wins, in whatever order they come.

    A listing somebody mapped keeps its SKU. Offers that are no SKU of ours go to the queue of unmapped items; offers
    that have become one release what waited for them. The number of statements does not grow with the records.
    """
    done = Ingested()
    sites = {code: pk for pk, code in identity.site_codes().items()}
    newest: dict[tuple[int, str], OfferRecord] = {}
    for record in records:
        done.seen += 1
        if reason := _problem(record, sites):
            done.rejected.append(_rejected(record, reason))
            continue
        key = (sites[record.site], record.offer_ref)
        if key not in newest or newest[key].seen_at <= record.seen_at:
            newest[key] = record
    with transaction.atomic():
        identity.lock(account)
        offers = {key: _offered(key[0], record) for key, record in newest.items()}
        known = identity.known(account, set(offers.values()))
        stored = _stored(account, newest)
        fresh = sorted({ref for site, ref in newest if (site, ref) not in stored})
        rows = [
            _row(account, key, record, known[offers[key]], stored.get(key, ""), raw_id)
            for key, record in newest.items()
        ]
        put = bulk.upsert(
            Listing, _COLUMNS, rows, ("account", "site", "offer_ref"), compare=_REASONS, newer_than="seen_at"
        )
        done.written = put.inserted + put.updated
        if fresh:
            listing_changed.send(Listing, account=account, offer_refs=fresh, sku_id=None, actor="", now=now)
        mapping.settle(
            account,
            {offer.offer_ref: sku for offer, one in known.items() if (sku := one.sku_id)},
            by="",
            now=now,
        )
        unknown = [_unknown(key[0], record) for key, record in newest.items() if not known[offers[key]].sku_id]
        identity.hold(account, unknown, now=now)
    return done


def _problem(record: OfferRecord, sites: Mapping[str, int]) -> str:
    if record.site not in sites:
        return f"The site {record.site!r} is not known."
    if not record.offer_ref or len(record.offer_ref) > 120 or len(record.seller_sku or "") > 120:
        return "The offer has no id, or one longer than 120 characters."
    if not is_currency(record.currency):
        return f"{record.currency!r} is not a currency code."
    if record.price is not None and not record.price.is_finite():
        return f"{record.price} is not a price."
    return ""


def _rejected(record: OfferRecord, reason: str) -> Rejected:
    return Rejected(
        path=f"offers[{record.offer_ref[:100]}]",
        reason=reason,
        excerpt=f"{record.offer_ref} {record.site} {record.price} {record.currency}".encode(),
        external_id=record.offer_ref[:200],
    )


def _offered(site_id: int, record: OfferRecord) -> Offered:
    return Offered(site_id, record.offer_ref, record.seller_sku or "", record.eans)


def _unknown(site_id: int, record: OfferRecord) -> Unknown:
    product_ref = record.product_ref or (record.eans[0] if record.eans else "")
    return Unknown(site_id, record.offer_ref, record.seller_sku or "", product_ref[:120], record.title[:500])


def _stored(account: Account, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """Category of each listing that is there already."""
    rows = Listing.objects.filter(account=account, offer_ref__in=sorted({ref for _site, ref in keys}))
    return {(row[0], row[1]): row[2] for row in rows.values_list("site_id", "offer_ref", "category")}


def _row(
    account: Account, key: tuple[int, str], record: OfferRecord, known: Known, category: str, raw_id: int | None
) -> tuple[Any, ...]:
    return (
        account.pk,
        *key,
        known.sku_id,
        record.seller_sku or "",
        (record.product_ref or "")[:120],
        record.title[:500],
        (record.category or category or known.category)[:80],
        record.fulfillment.value,
        record.status.value,
        record.raw_status[:80],
        record.price,
        record.currency,
        record.quantity,
        record.seen_at,
        raw_id,
    )
