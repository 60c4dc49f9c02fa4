"""What orders do when an offer was mapped, a SKU corrected, and when a marketplace has answered what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from marketplaces.models import Account, OutboxCommand
from marketplaces.signals import article_corrected, listing_changed, push_settled
from orders.services import holds, shipments


@receiver(listing_changed, dispatch_uid="orders.release")
def release_lines(
    *, account: Account, offer_refs: Sequence[str], sku_id: int | None, actor: str, now: datetime, **_: Any
) -> None:
    """Let the lines go that waited for these offers; without a SKU the listings are merely new."""
    if sku_id is None:
        holds.link(account_id=account.pk, offer_refs=offer_refs)
        return
    holds.release(account_id=account.pk, offer_refs=offer_refs, sku_id=sku_id, actor=actor, now=now)


@receiver(article_corrected, dispatch_uid="orders.judge_anew")
def judge_lines_anew(*, sku_ids: Sequence[int], now: datetime, **_: Any) -> None:
    """Let the fees on what these SKUs sold be judged by their weights and categories as they are now."""
    holds.judge_anew(sku_ids=sku_ids, now=now)


@receiver(push_settled, dispatch_uid="orders.parcels")
def note_parcel(*, command: OutboxCommand, now: datetime, **_: Any) -> None:
    """Keep in the order's history what became of telling a parcel."""
    shipments.note_settled(command, now=now)
