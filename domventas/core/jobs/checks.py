"""System checks of the timetable: every task is declared, and every limit lies where the settings expect it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from celery import current_app
from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from domventas.core.jobs import declare

#: Tasks that Celery brings along.
FOREIGN = "celery."


def connect() -> None:
    """Register the checks; called once by the app's ready()."""
    checks.register(timetable)


def timetable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Every problem of what is declared, and every task that is not."""
    found = [problem for job in declare.DECLARED.values() for problem in _limits(job)]
    return [*found, *_undeclared(), *_queues()]


def _limits(job: declare.Job) -> Iterator[checks.CheckMessage]:
    """A message that is given out again while its run still works makes a second worker look, for nothing."""
    most = settings.CELERY_VISIBILITY_TIMEOUT
    if not job.soft < job.hard < most:
        text = f"{job.name}: soft limit {job.soft} s < hard limit {job.hard} s < visibility timeout {most} s must hold"
        yield checks.Error(text, hint="Work in steps, or raise JOB_VISIBILITY.", id="jobs.E001")
    if not (job.body.__doc__ or "").strip():
        yield checks.Error(f"{job.name}: no docstring says what it is for", id="jobs.E002")


def _undeclared() -> Iterator[checks.CheckMessage]:
    """A task without a declaration has no row, no count of starts, no limit and nobody who sees it fail."""
    for name in sorted(current_app.tasks):
        if name not in declare.DECLARED and not name.startswith(FOREIGN):
            yield checks.Error(f"{name} is a Celery task that @scheduled does not declare", id="jobs.E003")


def _queues() -> Iterator[checks.CheckMessage]:
    for queue in sorted(set(declare.QUEUES) ^ set(settings.CELERY_TASK_QUEUES)):
        yield checks.Error(f"queue {queue} is known to the settings or to the declarations only", id="jobs.E004")
