"""Offers nobody has mapped yet, with what waits for them."""

from __future__ import annotations

from django.db.models import QuerySet

from catalog.models import UnmappedItem


def queue() -> QuerySet[UnmappedItem]:
    """Open items, the longest waiting first. What waits for them in orders: orders.selectors.held."""
    rows = UnmappedItem.objects.filter(state=UnmappedItem.State.OPEN)
    return rows.select_related("account", "site", "candidate").order_by("first_seen_at", "pk")
