"""Scheduled work of finance."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now as clock

from domventas.core.jobs import Run, firing, scheduled
from finance.services import settlement_files
from finance.services.reconcile import reconcile


@scheduled("recon.match", "50 * * * *", queue="reports", soft=1500, freshness=timedelta(hours=2))
def match(run: Run) -> None:
    """Hold what was paid against what was expected, for what is new or changed."""
    reconcile(now=clock())


@scheduled(settlement_files.BOOKING, "*/15 * * * *", queue="reports", soft=1500, overlap="queue")
def book_statement_files(run: Run) -> None:
    """Book the statement files that people have brought, then hold them against what was expected."""
    now = clock()
    if settlement_files.book_waiting(now=now, step=run.step):
        firing.ensure_queued("recon.match", now=now)
