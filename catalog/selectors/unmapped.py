"""Offers nobody has mapped yet, with what waits for them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from catalog.models import UnmappedItem


def queue() -> QuerySet[UnmappedItem]:
    """Open items, the longest waiting first. What waits for them in orders: orders.selectors.held."""
    rows = UnmappedItem.objects.filter(state=UnmappedItem.State.OPEN)
    return rows.select_related("account", "site", "candidate").order_by("first_seen_at", "pk")


def items_of(offers: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """Keys of the items of these offers (account id, offer), mapped ones too; one query, if any."""
    wanted = set(offers)
    if not wanted:
        return {}
    accounts, refs = {account for account, _ref in wanted}, {ref for _account, ref in wanted}
    rows = UnmappedItem.objects.filter(account__in=accounts, offer_ref__in=refs)
    found = {(account, ref): pk for account, ref, pk in rows.values_list("account_id", "offer_ref", "pk")}
    return {offer: found[offer] for offer in wanted & found.keys()}
