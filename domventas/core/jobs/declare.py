"""Jobs are declared beside the function that does the work; from there come timetable, limits and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from celery import shared_task
from celery.schedules import crontab

QUEUES = ("realtime", "sync", "push", "reports", "bulk")
OVERLAPS = ("skip", "queue", "allow")
CATCH_UPS = ("last", "all")

Body = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """For whom one firing makes runs: `members()` gives the accounts of the client we act for; 0 = the client itself.

    A scope may also widen one declaration into several rows: `rows()` gives (suffix, cadence or "") pairs.
    `names()` gives what people call the members, by number. `closed`: for clients that are closed, too.
    """

    name: str
    members: Callable[[str], list[int]]
    rows: Callable[[], list[tuple[str, str]]] = lambda: [("", "")]
    names: Callable[[], dict[int, str]] = dict
    closed: bool = False


PER_CLIENT = Scope(name="client", members=lambda suffix: [0])
#: What has to go by law goes whether somebody still works for the client or not.
EVERY_CLIENT = Scope(name="every client", members=lambda suffix: [0], closed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the timetable.

    Attributes:
        cadence: cron expression in UTC: minute hour day month weekday.
        suffix: what the scope added (a channel); part of the name and handed to `scope.members`.
        declared: name of the declaration, and of its Celery task; differs from `name` where a scope widened it.
        soft, hard: time limits [s].
        overlap: `skip` a run while the one before works, `queue` behind it, or `allow` both.
        catch_up: after an outage do the `last` slot missed, which stands for those before it, or `all` within `window`.
        lock: what may not run twice at once; {name}, {client}, {account}, {run} are filled in.
        freshness: results older than this are late.
        retries: errors in a row before the run fails.
    """

    name: str
    body: Body
    cadence: str
    queue: str
    soft: int
    hard: int
    overlap: str
    catch_up: str
    window: timedelta
    lock: str
    freshness: timedelta
    retries: int
    needs: str
    scope: Scope
    suffix: str = ""
    declared: str = ""

    def slots(self, now: datetime, count: int = 1) -> Iterator[datetime]:
        """The newest `count` slots up to `now`, newest first. Pure, so that two leaders agree."""
        minute, hour, day, month, weekday = self.cadence.split()
        cron = crontab(minute, hour, weekday, day, month)
        at, left, oldest = now.astimezone(UTC).replace(second=0, microsecond=0), count, now - timedelta(days=366)
        while left and at > oldest:
            day_fits = (
                at.month in cron.month_of_year
                and at.day in cron.day_of_month
                and at.isoweekday() % 7 in cron.day_of_week
            )
            if not day_fits or at.hour not in cron.hour:
                at = at.replace(minute=0, hour=at.hour if day_fits else 0) - timedelta(minutes=1)
            elif at.minute in cron.minute:
                yield at
                left, at = left - 1, at - timedelta(minutes=1)
            else:
                at -= timedelta(minutes=1)


DECLARED: dict[str, Job] = {}
"""Declarations by name, as written; `rows()` widens them."""

TASKS: dict[str, Any] = {}
"""The Celery task of each declaration."""


def scheduled(
    name: str,
    cadence: str,
    *,
    queue: str = "sync",
    soft: int = 300,
    hard: int | None = None,
    overlap: str = "skip",
    catch_up: str = "last",
    window: timedelta = timedelta(hours=6),
    lock: str = "{name}:{client}:{account}",
    freshness: timedelta = timedelta(hours=1),
    retries: int = 5,
    needs: str = "",
    scope: Scope = PER_CLIENT,
) -> Callable[[Body], Body]:
    """Declare a job: `body(run)` becomes a Celery task whose only arguments are (client_id, run_id).

    Raises: ValueError: two jobs with one name, an impossible cadence, or an unknown queue or policy.
    """

    def declare(body: Body) -> Body:
        job = Job(
            name=name, body=body, cadence=cadence, queue=queue, soft=soft, hard=hard or soft + 30, overlap=overlap,
            catch_up=catch_up, window=window, lock="{name}:{run}" if overlap == "allow" else lock,
            freshness=freshness, retries=retries, needs=needs, scope=scope, declared=name,
        )  # fmt: skip
        _check(job)
        DECLARED[name] = job

        @shared_task(name=name, soft_time_limit=job.soft, time_limit=job.hard, typing=False, ignore_result=True)
        def task(client_id: int, run_id: int) -> str:
            from domventas.core.jobs.runner import execute

            return execute(name, client_id, run_id)

        TASKS[name] = task
        return body

    return declare


def rows() -> dict[str, Job]:
    """The timetable as declared: each job once, or once per member its scope names, by row name."""
    found: dict[str, Job] = {}
    for name, job in sorted(DECLARED.items()):
        for suffix, cadence in job.scope.rows():
            row = name.replace("{channel}", suffix)
            found[row] = replace(job, name=row, suffix=suffix, cadence=cadence or job.cadence)
    return found


def member_names() -> dict[int, str]:
    """What people call the accounts of the client we act for, by number, as every scope knows them."""
    scopes = {id(job.scope.names): job.scope.names for job in DECLARED.values()}
    return {number: name for names in scopes.values() for number, name in names().items()}


def _check(job: Job) -> None:
    if job.name in DECLARED:
        raise ValueError(f"two jobs named {job.name}")
    if job.queue not in QUEUES or job.overlap not in OVERLAPS or job.catch_up not in CATCH_UPS:
        raise ValueError(f"{job.name}: unknown queue, overlap or catch-up policy")
    if job.catch_up == "all" and job.overlap == "skip":
        raise ValueError(f"{job.name}: a slot skipped while the one before works would never be caught up")
    if not 0 < job.soft < job.hard:
        raise ValueError(f"{job.name}: the soft limit must lie below the hard one")
    if next(job.slots(datetime(2028, 12, 31, tzinfo=UTC)), None) is None:
        raise ValueError(f"{job.name}: no slot ever fits {job.cadence!r}")
