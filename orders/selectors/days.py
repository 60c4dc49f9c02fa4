"""Orders counted by day."""

from __future__ import annotations

from datetime import date

from django.db.models import Count

from marketplaces.models import Account
from orders.models import Order


def placed(account: Account | None = None, *, since: date, until: date) -> dict[date, int]:
    """How many orders were placed on each day at their site, from `since` up to, not including, `until`."""
    rows = Order.objects.filter(ordered_on__gte=since, ordered_on__lt=until).order_by()
    if account is not None:
        rows = rows.filter(account=account)
    return dict(rows.values_list("ordered_on").annotate(count=Count("pk")))
