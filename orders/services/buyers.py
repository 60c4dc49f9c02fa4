"""Letting buyers' data vanish on its day; totals and countries stay."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from orders.models import BuyerContact


def purge(*, now: datetime) -> int:
    """Erase the contacts that are due; a later page of the marketplace does not bring them back.

    Returns: how many were erased.
    """
    with transaction.atomic():
        due = BuyerContact.objects.filter(purge_at__lte=now, purged_at=None)
        return due.update(contact=None, purged_at=now)
