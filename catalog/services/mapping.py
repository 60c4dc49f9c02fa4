"""Telling that an unknown offer is a SKU of ours: once, for everything that waits for it and all that comes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from catalog.models import Identifier, Listing, Sku, UnmappedItem
from catalog.services import candidates, identity
from domventas.core.errors import Conflict, Refused
from marketplaces.models import Account
from marketplaces.signals import listing_changed

State = UnmappedItem.State


def map_item(item: UnmappedItem, *, sku: Sku, actor: str, now: datetime) -> int:
    """Say which SKU an offer is: makes the identifier, maps its listings, releases what waited for it.

    The same seller SKU counts on all accounts of the channel, so their items are mapped too.

    Returns: how many unmapped items are settled by it.
    Raises: Conflict: the item is not open any more, or another SKU has this identifier. Refused: the SKU is retired.
    """
    with transaction.atomic():
        shops = Account.objects.filter(pk=item.account_id)
        if item.seller_sku:  # it counts everywhere on the channel, so nobody there may load a line of it meanwhile
            shops = Account.objects.filter(channel=item.account.channel)
        for shop in shops.order_by("pk"):
            identity.lock(shop)
        if not UnmappedItem.objects.filter(pk=item.pk).exclude(state=State.MAPPED).exists():
            raise Conflict(_("Somebody has already mapped this offer."))
        if sku.status == Sku.Status.RETIRED:
            raise Refused(_("%(sku)s is retired; nothing new can be mapped to it.") % {"sku": sku.code})
        _identify(item, sku)
        accounts = [item.account]
        if item.seller_sku:
            others = Account.objects.filter(channel=item.account.channel).exclude(pk=item.account_id)
            accounts += others.filter(unmapped_items__in=_same(item)).distinct()
        settled = 0
        for account in accounts:  # as many as the client has shops on one channel
            refs = [item.offer_ref] if account == item.account else []
            refs += _same(item).filter(account=account).values_list("offer_ref", flat=True) if item.seller_sku else []
            settled += settle(account, dict.fromkeys(refs, sku.pk), by=actor, now=now)
        return settled


def settle(account: Account, sku_by_ref: Mapping[str, int], *, by: str, now: datetime) -> int:
    """Take offers that are known now out of the queue of the account, map their listings and tell those who wait.

    Returns: how many items left the queue.
    """
    if not sku_by_ref:
        return 0
    waiting = UnmappedItem.objects.filter(account=account, offer_ref__in=list(sku_by_ref)).exclude(state=State.MAPPED)
    refs_by_sku: dict[int, list[str]] = {}
    for ref in waiting.values_list("offer_ref", flat=True):
        refs_by_sku.setdefault(sku_by_ref[ref], []).append(ref)
    for sku_id, refs in refs_by_sku.items():  # few: only what was unknown until now
        Listing.objects.filter(account=account, offer_ref__in=refs, sku=None).update(sku=sku_id)
        UnmappedItem.objects.filter(account=account, offer_ref__in=refs).update(
            state=State.MAPPED, sku=sku_id, mapped_by=by, mapped_at=now
        )
        listing_changed.send(Listing, account=account, offer_refs=refs, sku_id=sku_id, actor=by, now=now)
    return sum(map(len, refs_by_sku.values()))


def ignore_item(item: UnmappedItem, *, actor: str, now: datetime) -> None:
    """Say that an offer is none of ours (a gift card, somebody's test); its later lines are not held.

    Raises: Conflict: the item is not open any more.
    """
    with transaction.atomic():
        identity.lock(item.account)
        changed = UnmappedItem.objects.filter(pk=item.pk, state=State.OPEN).update(
            state=State.IGNORED, mapped_by=actor, mapped_at=now
        )
        if not changed:
            raise Conflict


def suggest() -> int:
    """Look again for the SKU each open item probably is; after the product master has grown.

    Returns: how many items have another candidate now.
    """
    items = list(UnmappedItem.objects.filter(state=State.OPEN))
    changed = []
    found = candidates.proposals([(item.seller_sku, item.product_ref, item.title) for item in items])
    for item, proposal in zip(items, found, strict=True):
        if item.candidate_id != proposal.sku_id:
            item.candidate_id, item.candidate_reason = proposal.sku_id, proposal.reason
            changed.append(item)
    UnmappedItem.objects.bulk_update(changed, ["candidate", "candidate_reason"], batch_size=500)
    return len(changed)


def resolve_known(*, now: datetime) -> int:
    """Release open items whose ids the product master knows by now; after products were loaded.

    Returns: how many items left the queue.
    """
    settled = 0
    with transaction.atomic():
        open_items = UnmappedItem.objects.filter(state=State.OPEN)
        for account in Account.objects.filter(unmapped_items__in=open_items).distinct().order_by("pk"):
            identity.lock(account)
            rows = (
                open_items.filter(account=account).exclude(site=None).values_list("site_id", "offer_ref", "seller_sku")
            )
            known = identity.known(account, {identity.Offered(*row) for row in rows})
            skus = {offer.offer_ref: one.sku_id for offer, one in known.items() if one.sku_id}
            settled += settle(account, skus, by="", now=now)
    return settled


def _identify(item: UnmappedItem, sku: Sku) -> None:
    """The identifier by which the offer is known from now on: its seller SKU, else the marketplace's number."""
    kind = Identifier.Kind.SELLER_SKU if item.seller_sku else Identifier.Kind.ITEM
    found, _made = Identifier.objects.get_or_create(
        kind=kind,
        channel=item.account.channel,
        value=item.seller_sku or item.offer_ref,
        defaults={"sku": sku},
    )
    if found.sku_id != sku.pk:
        raise Conflict(_("%(value)s already stands for %(sku)s.") % {"value": found.value, "sku": found.sku.code})


def _same(item: UnmappedItem) -> QuerySet[UnmappedItem]:
    """Open items with the same seller SKU, on whatever account."""
    return UnmappedItem.objects.filter(state=State.OPEN, seller_sku=item.seller_sku)
