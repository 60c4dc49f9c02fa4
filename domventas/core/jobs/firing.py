"""From a timetable row to runs: one Firing per slot, one run and one dispatch per member, in one transaction."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from domventas.core import tenancy
from domventas.core.jobs import declare
from domventas.core.models import Client, Dispatch, Firing, TaskRun

MOST_SLOTS = 1000
"""Slots looked back at most when a job catches all of them up."""


def fire(row: str, *, now: datetime) -> int:
    """Fire a row's newest slot, and missed ones if the job catches up. Returns the runs made; twice makes none.

    Raises: KeyError: no such row.
    """
    job = declare.rows()[row]
    return sum(_fire_slot(job, slot, now) for slot in reversed(_slots(job, now)))


def enqueue(row: str, *, account_id: int = 0, now: datetime) -> TaskRun:
    """Ask for one run outside the timetable (*run now*), in the caller's transaction, for the client we act for."""
    job = declare.rows()[row]
    with transaction.atomic():
        return _make_runs(job, [account_id], now, now)[0]


def _slots(job: declare.Job, now: datetime) -> list[datetime]:
    newest = list(job.slots(now))
    if job.catch_up != "all":
        return newest
    last = Firing.objects.filter(task=job.name).order_by("-slot").values_list("slot", flat=True).first()
    if last is None:
        return newest
    floor = max(last, now - job.window)
    return [slot for slot in job.slots(now, MOST_SLOTS) if slot > floor] or newest


def _fire_slot(job: declare.Job, slot: datetime, now: datetime) -> int:
    made = 0
    with transaction.atomic():
        _, fresh = Firing.objects.get_or_create(task=job.name, slot=slot, defaults={"fired_at": now})
        if not fresh:
            return 0
        for client in Client.objects.filter(active=True).order_by("pk"):
            with tenancy.acting_for(client, actor="beat"):
                members = job.scope.members(job.suffix)
                made += len(_make_runs(job, members, slot, now)) if members else 0
    return made


def _make_runs(job: declare.Job, members: list[int], slot: datetime, now: datetime) -> list[TaskRun]:
    client = tenancy.current().one

    def lock(member: int) -> str:
        run = f"{member}:{slot.timestamp():.3f}"
        return job.lock.format(name=job.name, client=client, account=member, run=run)

    runs = [
        TaskRun(
            task=job.name, account_id=member, slot=slot, created_at=now, seen_at=now,
            lock_key=lock(member),
        )
        for member in members
    ]  # fmt: skip
    TaskRun.objects.bulk_create(runs)
    Dispatch.objects.bulk_create([Dispatch(run_id=run.pk) for run in runs])
    return runs
