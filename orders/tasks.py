"""Scheduled work of orders."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now as clock

from domventas.core.jobs import EVERY_CLIENT, Run, scheduled
from orders.services import buyers


@scheduled(
    "platform.retention.buyers", "40 3 * * *", queue="bulk", soft=600, freshness=timedelta(hours=26),
    scope=EVERY_CLIENT,
)  # fmt: skip
def purge_buyers(run: Run) -> None:
    """Buyers' names and addresses vanish when their time is over; orders and totals stay."""
    buyers.purge(now=clock())
