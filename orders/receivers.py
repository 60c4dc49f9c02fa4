"""What orders do when the catalog has learned of an offer, or which SKU it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.dispatch import receiver

from marketplaces.models import Account
from marketplaces.signals import listing_changed
from orders.services import holds


@receiver(listing_changed, dispatch_uid="orders.release")
def release_lines(
    *, account: Account, offer_refs: Sequence[str], sku_id: int | None, actor: str, now: datetime, **_: Any
) -> None:
    """Let the lines go that waited for these offers; without a SKU the listings are merely new."""
    if sku_id is None:
        holds.link(account_id=account.pk, offer_refs=offer_refs)
        return
    holds.release(account_id=account.pk, offer_refs=offer_refs, sku_id=sku_id, actor=actor, now=now)
