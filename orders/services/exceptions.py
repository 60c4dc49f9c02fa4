"""Seeing to what is odd about orders."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from orders.models import Order, OrderException


def resolve(orders: QuerySet[Order], *, actor: str, now: datetime) -> int:
    """Close the open oddities of these orders; they stay closed unless they change.

    Returns: how many were open.
    """
    with transaction.atomic():
        rows = OrderException.objects.filter(order__in=orders.order_by().values("pk"), resolved_at=None)
        return rows.update(resolved_at=now, resolved_by=actor[:254])
