"""Runs that gave up: which they are, and letting them begin anew once somebody has mended the cause."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from domventas.core import tenancy
from domventas.core.jobs import declare
from domventas.core.models import Dispatch, TaskRun

#: States nothing leads out of but a person.
GAVE_UP: Final = (TaskRun.State.QUARANTINED, TaskRun.State.FAILED)


def quarantined_runs() -> QuerySet[TaskRun]:
    """Runs left alone because their process died each time, newest first; for whom we act."""
    return TaskRun.objects.filter(state=TaskRun.State.QUARANTINED).order_by("-ended_at", "-pk")


def requeue(runs: Iterable[TaskRun], *, now: datetime) -> int:
    """Let these runs begin anew from their last step, with all their starts and retries. Returns how many.

    Only runs that gave up and whose job is still declared; whoever asks is named in the note and counted nowhere else.
    """
    asked_by = tenancy.current().actor or "somebody"
    wanted = TaskRun.objects.filter(pk__in=[run.pk for run in runs], state__in=GAVE_UP, task__in=list(declare.rows()))
    with transaction.atomic():
        chosen = list(wanted.select_for_update().order_by("pk").values_list("pk", flat=True))
        TaskRun.objects.filter(pk__in=chosen).update(
            state=TaskRun.State.QUEUED, starts=0, errors=0, not_before=None, ended_at=None, seen_at=now,
            note=f"Begun anew by {asked_by}."[:500],
        )  # fmt: skip
        Dispatch.objects.bulk_create([Dispatch(run_id=pk) for pk in chosen], ignore_conflicts=True)
    return len(chosen)
