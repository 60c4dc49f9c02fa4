"""Orders in which something has to be done: lines on hold, past the ship-by date, odd."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from orders.models import Order, OrderException, OrderLine
from orders.models.orders import OPEN_STATUSES

REASONS: Final = {"held": _("waits for a mapping"), "late": _("past its ship-by date"), "odd": _("something is odd")}


def narrowed(orders: QuerySet[Order], reason: str | None, *, now: datetime) -> QuerySet[Order]:
    """Those of the orders that are stuck for the reason; all of them for a reason nobody knows."""
    if reason == "held":
        return orders.filter(Exists(OrderLine.objects.filter(order=OuterRef("pk")).exclude(hold="")))
    if reason == "late":
        return orders.filter(status__in=OPEN_STATUSES, ship_by__lt=now)
    if reason == "odd":
        return orders.filter(Exists(OrderException.objects.filter(order=OuterRef("pk"), resolved_at=None)))
    return orders


def orders(reason: str, *, now: datetime) -> QuerySet[Order]:
    """Stuck orders, the oldest first."""
    rows = Order.objects.select_related("account", "site").order_by("ordered_at")
    return narrowed(rows, reason, now=now)


def counts(*, now: datetime) -> dict[str, int]:
    """How many orders are stuck, by reason."""
    return {reason: orders(reason, now=now).count() for reason in REASONS}


def values(reason: str, *, now: datetime) -> list[tuple[str, Decimal]]:
    """What the stuck orders are worth by their stated totals [currency, amount]; nothing where none is stated."""
    sums = orders(reason, now=now).exclude(stated_total=None).order_by("currency").values_list("currency")
    return list(sums.annotate(value=Sum("stated_total")))
