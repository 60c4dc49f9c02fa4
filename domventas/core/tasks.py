"""Scheduled work of the kernel."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now as clock

from domventas.core import retention, tenancy
from domventas.core.audit import seals
from domventas.core.jobs import EVERY_CLIENT, Run, Scope, scheduled
from domventas.core.models import Client


@scheduled(
    "platform.audit.seal", "* * * * *", queue="reports", soft=50, freshness=timedelta(minutes=15), scope=EVERY_CLIENT
)
def seal_audit(run: Run) -> None:
    """Closes the audit entries of the last minute, so that whoever changes one is found out."""
    seals.seal(now=clock())


def _first_client(suffix: str) -> list[int]:
    """One run for the whole house: it is the oldest client's."""
    oldest = Client.objects.filter(active=True).order_by("pk").values_list("pk", flat=True).first()
    return [0] if tenancy.current().one == oldest else []


PER_HOUSE = Scope(name="house", members=_first_client)


@scheduled(
    "platform.retention.rows", "50 3 * * *", queue="bulk", soft=3000, freshness=timedelta(hours=26), scope=EVERY_CLIENT
)
def forget_rows(run: Run) -> None:
    """Rows that are over their time go: runs, logs, settled commands, ended events (docs/retention.md)."""
    done = retention.forget(now=clock(), step=run.step)
    with run.step(progress=done):
        pass


@scheduled(
    "platform.retention.months", "20 4 * * *", queue="bulk", soft=3000, freshness=timedelta(hours=26), scope=PER_HOUSE
)
def drop_months(run: Run) -> None:
    """Whole months of the audit and of raw documents go, slots long past and sign-ins that have ended."""
    done = retention.forget_shared(now=clock(), step=run.step)
    gone = retention.drop_months(now=clock())
    with run.step(progress={**done, "months": gone}):
        pass
