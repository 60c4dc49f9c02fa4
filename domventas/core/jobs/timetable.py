"""Brings beat's rows in line with the declared jobs: staff's switches and schedules stay, strays are disabled."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django_celery_beat.models import CrontabSchedule, PeriodicTask, PeriodicTasks

from domventas.core.jobs import declare

MARK = "declared: "


@dataclass
class Changes:
    """What a sync did, as `sync_timetable --json` prints it."""

    created: int = 0
    updated: int = 0
    disabled: int = 0
    kept: int = 0


@transaction.atomic
def sync() -> Changes:
    """Create, update and disable rows; a second run changes nothing."""
    changes = Changes()
    have = {
        row.name: row
        for row in PeriodicTask.objects.select_for_update(of=("self",)).select_related("crontab").order_by("pk")
    }
    schedules = _schedules({job.cadence for job in declare.rows().values()})
    fresh: list[PeriodicTask] = []
    for name, job in declare.rows().items():
        row = have.pop(name, None)
        if row is None:
            fresh.append(_new_row(name, job, schedules))
            continue
        difference = _difference(row, job, schedules)
        if difference:
            PeriodicTask.objects.filter(pk=row.pk).update(**difference)
            changes.updated += 1
        else:
            changes.kept += 1
    PeriodicTask.objects.bulk_create(fresh)
    changes.created = len(fresh)
    strays = [row.pk for row in have.values() if row.enabled]
    changes.disabled = PeriodicTask.objects.filter(pk__in=strays).update(enabled=False)
    if changes.created or changes.updated or changes.disabled:
        PeriodicTasks.update_changed()  # update() and bulk_create() send no signal: beat would not look
    return changes


def strays() -> list[str]:
    """Enabled rows of beat that no code declares."""
    names = PeriodicTask.objects.filter(enabled=True).values_list("name", flat=True)
    return sorted(set(names) - set(declare.rows()))


def cadence_of(row: PeriodicTask) -> str:
    """The row's cron expression; "" where staff chose an interval, which has none."""
    cron = row.crontab
    if cron is None:
        return ""
    return f"{cron.minute} {cron.hour} {cron.day_of_month} {cron.month_of_year} {cron.day_of_week}"


def _new_row(name: str, job: declare.Job, schedules: dict[str, CrontabSchedule]) -> PeriodicTask:
    return PeriodicTask(
        name=name, task=name, queue=job.queue, crontab=schedules[job.cadence], description=MARK + job.cadence,
        args="[]", kwargs="{}",
    )  # fmt: skip


def _difference(row: PeriodicTask, job: declare.Job, schedules: dict[str, CrontabSchedule]) -> dict[str, object]:
    wanted = {"task": job.name, "queue": job.queue, "args": "[]", "kwargs": "{}"}
    difference: dict[str, object] = {key: value for key, value in wanted.items() if getattr(row, key) != value}
    mark = MARK + job.cadence
    if row.description != mark:  # the code's cadence changed: it wins unless staff had changed the row
        if cadence_of(row) == row.description.removeprefix(MARK):
            difference["crontab"] = schedules[job.cadence]
        difference["description"] = mark
    return difference


def _schedules(cadences: set[str]) -> dict[str, CrontabSchedule]:
    found: dict[str, CrontabSchedule] = {}
    for cadence in sorted(cadences):
        minute, hour, day, month, weekday = cadence.split()
        found[cadence], _ = CrontabSchedule.objects.get_or_create(
            minute=minute, hour=hour, day_of_month=day, month_of_year=month, day_of_week=weekday, timezone="UTC"
        )
    return found
