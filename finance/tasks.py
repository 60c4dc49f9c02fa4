"""Scheduled work of finance."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now as clock

from domventas.core.jobs import Run, scheduled
from finance.services.reconcile import reconcile


@scheduled("recon.match", "50 * * * *", queue="reports", soft=1500, freshness=timedelta(hours=2))
def match(run: Run) -> None:
    """Hold what was paid against what was expected, for what is new or changed."""
    reconcile(now=clock())
