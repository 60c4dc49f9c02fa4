"""Jobs that suffer: each leaves rows in `fault_effect`, which has no key, so that doubled work shows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db import connection

from domventas.core.jobs import Run, Scope, declare, scheduled

MEMBERS = list(range(1, 16))
MANY = Scope(name="fault.many", members=lambda suffix: MEMBERS)
ONE = Scope(name="fault.one", members=lambda suffix: [1])
FOREVER = timedelta(days=60)
STEPS = 3


def effect(run: Run, step: int, weight: int = 0) -> None:
    """One row, of so many bytes more."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fault_effect (client_id, run_id, step, attempt, load) VALUES (%s, %s, %s, %s, %s)",
            [run.client_id, run.id, step, run.attempt, os.urandom(weight)],
        )


@scheduled(
    "test.fault.steps", "*/5 * * * *", soft=20, retries=50, overlap="queue", catch_up="all", window=FOREVER, scope=MANY
)
def steps(run: Run) -> None:
    """Three steps of 50 ms; goes on after the last one that was committed."""
    for step in range(run.progress.get("step", 0), STEPS):
        time.sleep(0.05)
        with run.step({"step": step + 1}, done=step + 1 == STEPS):
            effect(run, step)


@scheduled("test.fault.collapses", "*/5 * * * *", soft=20, scope=MANY)
def collapses(run: Run) -> None:
    """One slot stands for all that were missed."""
    with run.step(done=True):
        effect(run, 0)


@scheduled("test.fault.windows", "*/5 * * * *", soft=20, overlap="queue", catch_up="all", window=FOREVER, scope=ONE)
def windows(run: Run) -> None:
    """Each slot stands for a window of its own, so none may be missing."""
    with run.step(done=True):
        effect(run, 0)


@scheduled("test.fault.poison", "0 4 * * *", queue="bulk", soft=20, scope=ONE)
def poison(run: Run) -> None:
    """Kills its process, as the OOM killer would, until somebody has mended the cause (a row says so)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_threshold WHERE code = 'test.mended'")
        if not cursor.fetchone()[0]:
            os.kill(os.getpid(), signal.SIGKILL)
    with run.step(done=True):
        effect(run, 0)


@scheduled("test.fault.soft", "0 3 * * *", queue="bulk", soft=1, hard=2, retries=3, scope=ONE)
def soft(run: Run) -> None:
    """Longer than its soft limit, but each attempt gets further."""
    for step in range(run.progress.get("step", 0), STEPS):
        time.sleep(0.6)
        with run.step({"step": step + 1}, done=step + 1 == STEPS):
            effect(run, step)


@scheduled("test.fault.hard", "0 2 * * *", queue="bulk", soft=1, hard=2, scope=ONE)
def hard(run: Run) -> None:
    """Swallows the soft limit, so that only force ends it."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with suppress(Exception):
            time.sleep(60)


@scheduled("test.fault.long", "0 1 * * *", soft=30, scope=ONE)
def long(run: Run) -> None:
    """Outlives the visibility timeout of the fast profile: 4 s against 3 s."""
    time.sleep(4)
    with run.step(done=True):
        effect(run, 0)


@scheduled("test.fault.zombie", "0 0 * * *", soft=30, scope=ONE)
def zombie(run: Run) -> None:
    """Comes back with a fresh connection, as any library may cause: only the fence tells it that its lock is gone."""
    time.sleep(2)
    connection.close()
    with run.step(done=True):
        effect(run, 0)


@scheduled(
    "test.fault.fills", "*/5 * * * *", queue="bulk", soft=60, scope=ONE, overlap="queue", catch_up="all", window=FOREVER
)
def fills(run: Run) -> None:
    """Imports four parts of 1,000 rows, each part whole or not at all."""
    for part in range(run.progress.get("step", 0), 4):
        with run.step({"step": part + 1}, done=part == 3), connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO fault_import (run_id, part, load) SELECT %s, %s, string_agg(md5(random()::text), '')"
                " FROM generate_series(1, 1000) row, generate_series(1, 60) word GROUP BY row",
                [run.id, part],
            )


class EverySecond(declare.Job):
    """A cadence finer than cron's minute, so that many slots pass while a test looks on."""

    def slots(self, now: datetime, count: int = 1) -> Iterator[datetime]:
        """The newest seconds, newest first."""
        newest = now.astimezone(UTC).replace(microsecond=0)
        return (newest - timedelta(seconds=back) for back in range(count))


@scheduled(
    "test.fault.tick", "* * * * *", soft=20, overlap="allow", catch_up="all", window=timedelta(minutes=5), scope=ONE
)
def tick(run: Run) -> None:
    """One row per slot."""
    with run.step(done=True):
        effect(run, 0)


_tick = declare.DECLARED["test.fault.tick"]
declare.DECLARED["test.fault.tick"] = EverySecond(**{name: getattr(_tick, name) for name in declare.Job.__slots__})
