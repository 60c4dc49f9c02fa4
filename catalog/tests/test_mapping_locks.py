"""Mapping an offer keeps loading out wherever the mapping counts."""

from __future__ import annotations

from typing import Any

from catalog.models import UnmappedItem
from catalog.services import mapping
from domventas.core.testing import is_locked
from finance.testing import NOW, account, sku


def test_a_seller_sku_is_mapped_while_no_account_of_the_channel_loads_lines(acting: Any) -> None:
    shop = account("amazon-eu")
    other = account("amazon-fr", sites=["amazon.fr"])
    item = UnmappedItem.objects.create(
        account=shop, offer_ref="X-1", seller_sku="X-1", first_seen_at=NOW, last_seen_at=NOW
    )
    mapping.map_item(item, sku=sku(), actor="ana", now=NOW)
    held = [is_locked(f"identity {acting.pk} {place}") for place in (shop.pk, other.pk, other.pk + 1)]
    assert held == [True, True, False]
