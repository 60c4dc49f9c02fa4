"""From a timetable row to runs: one Firing per slot, one run and one dispatch per member, in one transaction."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from domventas.core import tenancy
from domventas.core.jobs import declare
from domventas.core.jobs.outcomes import AWAY
from domventas.core.models import Client, Dispatch, Firing, TaskRun

log = logging.getLogger(__name__)

MOST_SLOTS = 1000
"""Slots looked back at most when a job catches all of them up."""

COLLAPSED: Final = "A later slot of the same work took its place before it began."
# Their dispatches are left to the relay, which sends nothing that does not wait: taking both here, in the other order
# than it does, would be a deadlock.
COLLAPSE = """
UPDATE core_taskrun SET state = 'skipped', ended_at = %(now)s, note = %(note)s
WHERE client_id = %(client)s AND task = %(task)s AND account_id = ANY(%(members)s) AND slot < %(slot)s
    AND state = 'queued' AND attempt = 0
"""


def fire(row: str, *, now: datetime, cadence: str = "") -> int:
    """Fire a row's newest slot, and missed ones if the job catches up. Returns the runs made; twice makes none.

    `cadence` is staff's own, where it differs from the declared one. Raises: KeyError: no such row.
    """
    job = declare.rows()[row]
    job = replace(job, cadence=cadence or job.cadence)
    return sum(_fire_slot(job, slot, now) for slot in reversed(_slots(job, now)))


def owing(cadences: dict[str, str], *, now: datetime) -> list[str]:
    """Rows that have been fired before, but not for their newest slot: what a new leader has to make up for.

    `cadences` = the rows that are switched on, with staff's cadence ("" = the declared one).
    """
    last = dict(Firing.objects.filter(task__in=cadences).values_list("task").annotate(newest=Max("slot")))
    rows = declare.rows()
    jobs = [replace(rows[name], cadence=cadences[name] or rows[name].cadence) for name in last if name in rows]
    return [job.name for job in jobs if next(job.slots(now), last[job.name]) > last[job.name]]


def enqueue(row: str, *, account_id: int = 0, now: datetime) -> TaskRun:
    """Ask for one run outside the timetable (*run now*), in the caller's transaction, for the client we act for."""
    job = declare.rows()[row]
    with transaction.atomic():
        return _make_runs(job, [account_id], now, now)[0]


QUEUED = """
SELECT 1 FROM core_taskrun WHERE client_id = %(client)s AND task = %(task)s AND account_id = %(account)s
    AND state = 'queued' AND (not_before IS NULL OR not_before <= %(now)s) ORDER BY id LIMIT 1 FOR SHARE SKIP LOCKED
"""


def ensure_queued(row: str, *, account_id: int = 0, now: datetime) -> bool:
    """Ask for a run that begins after this transaction's commit; False when one waits already and will do.

    The waiting run is held until the commit, so it cannot begin before what it is to see has been written.
    """
    known: dict[str, Any] = {"client": tenancy.current().one, "task": row, "account": account_id, "now": now}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(QUEUED, known)
            if cursor.fetchone():
                return False
        try:
            enqueue(row, account_id=account_id, now=now)
        except IntegrityError:  # somebody asked in the same microsecond
            return False
    return True


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
        for client in Client.objects.filter(active__in=(True, not job.scope.closed)).order_by("pk"):
            try:
                with tenancy.acting_for(client, actor="beat"), transaction.atomic():
                    made += _fire_for_client(job, slot, now)
            except AWAY:
                raise
            except Exception:  # a slot that fails for one would be tried before all other rows, and they never
                log.exception("%s was not fired for client %s", job.name, client.slug)
    return made


def _fire_for_client(job: declare.Job, slot: datetime, now: datetime) -> int:
    members = job.scope.members(job.suffix)
    if not members:
        return 0
    _collapse(job, members, slot, now)
    return len(_make_runs(job, members, slot, now))


def _collapse(job: declare.Job, members: list[int], slot: datetime, now: datetime) -> None:
    """Earlier runs that nobody has begun are covered by the one that comes: a backlog is one run, however old."""
    if job.catch_up == "last":
        with connection.cursor() as cursor:
            cursor.execute(COLLAPSE, {
                "client": tenancy.current().one, "task": job.name, "members": members, "slot": slot, "now": now,
                "note": COLLAPSED,
            })  # fmt: skip


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
