"""Scheduled work of the kernel."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now as clock

from domventas.core.api import once
from domventas.core.audit import seals
from domventas.core.jobs import Run, scheduled


@scheduled("platform.audit.seal", "* * * * *", queue="reports", soft=50, freshness=timedelta(minutes=15))
def seal_audit(run: Run) -> None:
    """Closes the audit entries of the last minute, so that whoever changes one is found out."""
    seals.seal(now=clock())


@scheduled("platform.retention.api", "50 3 * * *", queue="bulk", soft=600, freshness=timedelta(hours=26))
def forget_replies(run: Run) -> None:
    """Answers kept for idempotency keys go after two days."""
    once.forget(now=clock())
