"""Which SKU of ours an offer is. Only ids decide; a title never does, and nothing is guessed.

Order of trust: the listing as somebody mapped it, the seller SKU on this channel, the seller SKU on any channel, the
marketplace's own number, an EAN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from catalog.models import Identifier, Listing, Sku, UnmappedItem
from catalog.services import candidates
from domventas.core import bulk
from domventas.core.tenancy import current
from marketplaces.models import Account, Site

Kind = Identifier.Kind
_KINDS: Final = (Kind.SELLER_SKU.value, Kind.ITEM.value, Kind.EAN.value)


@dataclass(frozen=True, slots=True)
class Offered:
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


def known(account: Account, wanted: Collection[Offered]) -> dict[Offered, Known]:
    """What we know of each offer, in three queries however many they are."""
    if not wanted:
        return {}
    refs = sorted({offer.offer_ref for offer in wanted})
    rows = Listing.objects.filter(account=account, offer_ref__in=refs)
    listings = {(row[0], row[1]): row[2:] for row in rows.values_list("site_id", "offer_ref", "pk", "sku_id")}
    by_value = _identifiers(account.channel, wanted)
    found = {}
    for offer in wanted:
        listing_id, sku_id = listings.get((offer.site_id, offer.offer_ref), (None, None))
        found[offer] = (sku_id or _by_identifier(offer, account.channel, by_value), listing_id)
    categories = _categories({sku_id for sku_id, _ in found.values() if sku_id})
    sites = site_codes()
    return {
        offer: Known(sku_id, listing_id, _category(categories.get(sku_id), sites[offer.site_id]))
        for offer, (sku_id, listing_id) in found.items()
    }


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


def _identifiers(channel: str, wanted: Collection[Offered]) -> dict[tuple[str, str, str], int]:
    values = {text for offer in wanted for text in (offer.seller_sku, offer.offer_ref, *offer.eans) if text}
    rows = Identifier.objects.filter(kind__in=_KINDS, channel__in=("", channel), value__in=sorted(values))
    return {
        (kind, at, value): sku_id for kind, at, value, sku_id in rows.values_list("kind", "channel", "value", "sku_id")
    }


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


def _categories(sku_ids: set[int]) -> dict[int | None, tuple[str, dict[str, Any]]]:
    rows = Sku.objects.filter(pk__in=sorted(sku_ids))
    return {row[0]: row[1:] for row in rows.values_list("pk", "product__category", "product__site_categories")}


def _category(product: tuple[str, dict[str, Any]] | None, site: str) -> str:
    return str(product[1].get(site) or product[0]) if product else ""
