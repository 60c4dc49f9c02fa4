"""Which SKU of ours an offer is. Only ids decide; a title never does, and nothing is guessed.

Order of trust: the listing as somebody mapped it, the seller SKU on this channel, the seller SKU on any channel, the
marketplace's own number, an EAN.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from catalog.models import Identifier, UnmappedItem
from catalog.services import candidates
from domventas.core import bulk
from domventas.core.tenancy import current
from marketplaces.models import Account, Site

Kind = Identifier.Kind
_KINDS: Final = (Kind.SELLER_SKU.value, Kind.ITEM.value, Kind.EAN.value)


class Offered(NamedTuple):
    """An offer as an order or a list of offers names it; empty text = not told."""

    site_id: int
    offer_ref: str
    seller_sku: str = ""
    eans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What we know of an offer. `category` is the product master's for the site, "" if it has none."""

    sku_id: int | None = None
    listing_id: int | None = None
    category: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """An offer nobody has mapped, with what a person needs to recognize it."""

    site_id: int
    offer_ref: str
    seller_sku: str = ""
    product_ref: str = ""
    title: str = ""


def lock(account: Account) -> None:
    """Let loading and mapping of one account go one after the other, until the transaction ends.

    Without it, a line loaded while its offer is being mapped would be held for ever.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"identity {current().one} {account.pk}"]
        )


#: Listings by their offer, and identifiers by their value, each with its SKU and the categories of its product.
_LISTINGS: Final = """
SELECT 'listing', g.site_id, g.offer_ref, '', g.id, g.sku_id, p.category, p.site_categories
FROM catalog_listing AS g
LEFT JOIN catalog_sku AS s ON s.client_id = %(client)s AND s.id = g.sku_id
LEFT JOIN catalog_product AS p ON p.client_id = %(client)s AND p.id = s.product_id
WHERE g.client_id = %(client)s AND g.account_id = %(account)s AND g.offer_ref = ANY(%(refs)s)
"""
_IDENTIFIERS: Final = """
SELECT i.kind, NULL, i.value, i.channel, NULL, i.sku_id, p.category, p.site_categories
FROM catalog_identifier AS i
JOIN catalog_sku AS s ON s.client_id = %(client)s AND s.id = i.sku_id
JOIN catalog_product AS p ON p.client_id = %(client)s AND p.id = s.product_id
WHERE i.client_id = %(client)s AND i.kind = ANY(%(kinds)s) AND i.channel IN ('', %(channel)s)
  AND i.value = ANY(%(values)s)
"""


def known(
    account: Account, wanted: Collection[Offered], *, sites: Mapping[int, str] | None = None
) -> dict[Offered, Known]:
    """What we know of each offer, in two queries however many they are, one where each has a listing that is mapped.

    Another one unless `sites` are given (by key).
    """
    if not wanted:
        return {}
    sites = site_codes() if sites is None else sites
    told = _told(_LISTINGS, account=account.pk, refs=sorted({offer.offer_ref for offer in wanted}))
    listings = {(row[1], row[2]): (row[4], row[5]) for row in told}
    unmapped = [offer for offer in wanted if not listings.get((offer.site_id, offer.offer_ref), (None, None))[1]]
    values = sorted({x for offer in unmapped for x in (offer.seller_sku, offer.offer_ref, *offer.eans) if x})
    named = _told(_IDENTIFIERS, kinds=list(_KINDS), channel=account.channel, values=values) if values else []
    by_value = {(row[0], row[3], row[2]): row[5] for row in named}
    categories = {row[5]: (row[6], _by_site(row[7])) for row in (*told, *named) if row[5]}
    found = {}
    for offer in wanted:
        listing_id, sku_id = listings.get((offer.site_id, offer.offer_ref), (None, None))
        sku_id = sku_id or _by_identifier(offer, account.channel, by_value)
        found[offer] = Known(sku_id, listing_id, _category(categories.get(sku_id), sites[offer.site_id]))
    return found


def _told(query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, {"client": current().one, **parameters})
        return cursor.fetchall()


def _by_site(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = value if isinstance(value, dict) else json.loads(value)
    return found


def hold(account: Account, items: Iterable[Unknown], *, now: datetime) -> set[str]:
    """Put unknown offers in the queue of unmapped items, new ones with the SKU they probably are.

    Returns: the offers somebody decided to ignore; their lines are not held.
    """
    by_ref = {item.offer_ref: item for item in items}
    if not by_ref:
        return set()
    queue = UnmappedItem.objects.filter(account=account, offer_ref__in=list(by_ref))
    states = dict(queue.values_list("offer_ref", "state"))
    if any(state == UnmappedItem.State.MAPPED for state in states.values()):  # its identifier was taken away again
        queue.filter(state=UnmappedItem.State.MAPPED).update(state=UnmappedItem.State.OPEN, sku=None, mapped_at=None)
    fresh = [item for ref, item in by_ref.items() if ref not in states]
    proposals = candidates.proposals([(item.seller_sku, item.product_ref, item.title) for item in fresh])
    bulk.upsert(
        UnmappedItem,
        ("account", "offer_ref", "site", "seller_sku", "product_ref", "title", "candidate", "candidate_reason"),
        [
            (account.pk, x.offer_ref, x.site_id, x.seller_sku, x.product_ref, x.title, proposal.sku_id, proposal.reason)
            for x, proposal in zip(fresh, proposals, strict=True)
        ],
        ("account", "offer_ref"),
        compare=(),
        extra={"first_seen_at": now, "last_seen_at": now},
    )
    return {ref for ref, state in states.items() if state == UnmappedItem.State.IGNORED}


def site_codes() -> Mapping[int, str]:
    """Code of each site by its key."""
    return dict(Site.objects.values_list("pk", "code"))


def _by_identifier(offer: Offered, channel: str, by_value: Mapping[tuple[str, str, str], int]) -> int | None:
    ways = [
        (Kind.SELLER_SKU.value, offer.seller_sku),
        (Kind.ITEM.value, offer.offer_ref),
        *((Kind.EAN.value, ean) for ean in offer.eans),
    ]
    for kind, value in ways:
        for at in (channel, ""):
            if value and (sku_id := by_value.get((kind, at, value))):
                return sku_id
    return None


def _category(product: tuple[str, dict[str, Any]] | None, site: str) -> str:
    return str(product[1].get(site) or product[0]) if product else ""
