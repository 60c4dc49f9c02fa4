"""The wrapper around every job: take the lock, count the start, run, record the end: the row decides."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connection, transaction
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import declare
from domventas.core.jobs.outcomes import DONE, Outcome, Retry, is_read_only, outcome_of

__all__ = ["Retry", "Run", "Superseded", "execute"]
log = logging.getLogger(__name__)
T = TypeVar("T")


class Superseded(Exception):
    """Somebody else owns this run now: nothing of ours may be written any more."""


@dataclass
class Run:
    """What a body gets: identity, progress, and `step()`, the only door to writing."""

    id: int
    client_id: int
    account_id: int
    attempt: int
    slot: datetime
    progress: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def step(self, progress: dict[str, Any] | None = None, *, done: bool = False) -> Iterator[None]:
        """One transaction with the fence, the body's rows and the progress; progress clears the count of deaths.

        Raises: Superseded: another attempt has taken over.
        """
        with transaction.atomic():
            now = clock()
            with connection.cursor() as cursor:
                cursor.execute(STEP, {
                    "progress": json.dumps(progress) if progress is not None else None, "done": done, "now": now,
                    "id": self.id, "client": self.client_id, "attempt": self.attempt,
                })  # fmt: skip
                if not cursor.rowcount:
                    raise Superseded(self.id)
            yield
        if progress is not None:
            self.progress = progress


STEP = """
UPDATE core_taskrun SET starts = 0, errors = 0, progress = coalesce(%(progress)s::jsonb, progress), seen_at = %(now)s,
    state = CASE WHEN %(done)s THEN 'done' ELSE 'running' END,
    ended_at = CASE WHEN %(done)s THEN %(now)s ELSE ended_at END,
    note = CASE WHEN %(done)s THEN '' ELSE note END
WHERE id = %(id)s AND client_id = %(client)s AND attempt = %(attempt)s AND state = 'running'
"""
# Two locks: of the work, which another run may hold, and of the run, by which the sweeper knows that it is alive.
LOCK = """
SELECT CASE WHEN pg_try_advisory_lock(hashtextextended(%(key)s, 0))
    THEN pg_try_advisory_lock(hashtextextended('run:' || %(id)s, 0)) ELSE false END
"""
# The broker may bring the message of a dead run again before the sweeper has looked; the reason is the same.
DIED: Final = "Its process died (killed, out of memory, machine gone)."
CLAIM = """
UPDATE core_taskrun SET state = CASE WHEN starts >= %(most)s THEN 'quarantined' ELSE 'running' END,
    starts = starts + (starts < %(most)s)::int, attempt = attempt + (starts < %(most)s)::int,
    started_at = CASE WHEN starts >= %(most)s THEN started_at ELSE %(now)s END, seen_at = %(now)s,
    ended_at = CASE WHEN starts >= %(most)s THEN %(now)s END,
    note = CASE WHEN starts >= %(most)s THEN left(%(words)s || why, 500) ELSE why END
FROM (SELECT id AS run, CASE WHEN state = 'running' THEN %(died)s ELSE note END AS why FROM core_taskrun
    WHERE id = %(id)s AND client_id = %(client)s FOR UPDATE) AS last
WHERE id = last.run AND id = %(id)s AND client_id = %(client)s
    AND (state = 'running' OR state = 'queued' AND (not_before IS NULL OR not_before <= %(now)s))
RETURNING state, account_id, attempt, slot, progress
"""
SKIP = """
UPDATE core_taskrun r SET state = 'skipped', ended_at = %(now)s, note = 'The run before was still working.'
WHERE id = %(id)s AND client_id = %(client)s AND state = 'queued' AND attempt = 0 AND EXISTS (
    SELECT 1 FROM core_taskrun o WHERE o.client_id = r.client_id AND o.lock_key = r.lock_key AND o.id <> r.id
    AND o.state = 'running')
"""
WAIT = """
UPDATE core_taskrun SET not_before = %(now)s::timestamptz + interval '500 ms', note = 'Waits for another run to end.'
WHERE id = %(id)s AND client_id = %(client)s AND state = 'queued'
"""
END = """
UPDATE core_taskrun SET starts = 0, errors = errors + %(error)s, note = %(note)s, seen_at = %(now)s,
    state = CASE WHEN %(error)s > 0 AND errors + 1 >= %(most)s THEN 'failed' ELSE %(state)s END,
    not_before = CASE WHEN %(state)s = 'queued'
        THEN %(now)s::timestamptz + make_interval(secs => %(delay)s * CASE WHEN %(error)s > 0
            THEN 2 ^ least(errors, 6) ELSE 1 END) END,
    ended_at = CASE WHEN %(state)s = 'done' OR (%(error)s > 0 AND errors + 1 >= %(most)s)
        THEN %(now)s::timestamptz END
WHERE id = %(id)s AND client_id = %(client)s AND attempt = %(attempt)s AND state = 'running' RETURNING state
"""


def execute(name: str, client_id: int, run_id: int) -> str:
    """Run one attempt as its client. Returns the outcome; never raises for what the row already records."""
    return tenancy.isolated(_execute, declare.DECLARED[name], client_id, run_id)


def _execute(job: declare.Job, client_id: int, run_id: int) -> str:
    with tenancy.acting_for(client_id, actor=f"task:{job.name}", request=str(run_id)):
        try:
            run = _patiently(lambda: _claim(job, client_id, run_id))
            if isinstance(run, str):
                return run
            outcome = _work(job, run)
            return _patiently(lambda: _end(job, run, outcome)) if outcome else "superseded"
        finally:
            _release()


def _work(job: declare.Job, run: Run) -> Outcome | None:
    """Call the body and sort what came of it; None = somebody else owns the run now."""
    try:
        job.body(run)
    except Superseded:
        return None
    except Exception as error:
        outcome = outcome_of(error)
        if outcome.error:
            log.exception("%s run %s failed", job.name, run.id)
        elif not isinstance(error, Retry):
            log.error("%s run %s: %s", job.name, run.id, outcome.note)
        return outcome
    return DONE


def _claim(job: declare.Job, client_id: int, run_id: int) -> Run | str:
    """Take the lock, then count the start; committed before the body runs."""
    most = settings.JOB_MAX_STARTS
    known: dict[str, Any] = {
        "id": run_id, "client": client_id, "now": clock(), "most": most, "died": DIED,
        "words": f"Begun {most} times without getting further, so it is left alone. Last: ",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock_all()")  # a lock leaked by the last run would block its key for ever
        cursor.execute("SELECT lock_key, state FROM core_taskrun WHERE id = %(id)s AND client_id = %(client)s", known)
        row = cursor.fetchone()
        if row is None:
            log.error(
                "%s: no run %s of client %s; is another installation on this broker?", job.name, run_id, client_id
            )
            return "unknown"
        if row[1] not in ("queued", "running"):
            return "nothing to do"
        cursor.execute(LOCK, {"key": row[0], "id": run_id})
        if not cursor.fetchone()[0]:
            return _busy(job, known)
        cursor.execute(CLAIM, known)
        row = cursor.fetchone()
        if row is None:
            return "nothing to do"
        if row[0] == "quarantined":
            log.error("%s run %s quarantined after %s starts without progress", job.name, run_id, most)
            return "quarantined"
        progress = json.loads(row[4]) if isinstance(row[4], str) else row[4]
        return Run(id=run_id, client_id=client_id, account_id=row[1], attempt=row[2], slot=row[3], progress=progress)


def _busy(job: declare.Job, known: dict[str, Any]) -> str:
    """The lock is held: a second message of the same run is dropped, another run follows the overlap policy."""
    with connection.cursor() as cursor:
        if job.overlap == "skip":
            cursor.execute(SKIP, known)
            if cursor.rowcount:
                return "skipped"
        cursor.execute(WAIT, known)
    return "busy"


def _end(job: declare.Job, run: Run, outcome: Outcome) -> str:
    """Record the end, fenced; an error beyond the allowed retries is final."""
    known: dict[str, Any] = {
        "state": outcome.state, "note": outcome.note[:500], "error": outcome.error, "delay": outcome.delay,
        "most": job.retries, "now": clock(), "id": run.id, "client": run.client_id, "attempt": run.attempt,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(END, known)
        row = cursor.fetchone()
    return str(row[0]) if row else "already ended"


def _release() -> None:
    """Give the lock back; if that fails the connection goes, and the lock with it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
    except (OperationalError, InterfaceError):
        connection.close()


def _patiently(work: Callable[[], T], seconds: float = 20.0) -> T:
    """Repeat while the database is away, always on a new connection."""
    until = time.monotonic() + seconds
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError, InternalError) as error:
            if isinstance(error, InternalError) and not is_read_only(error):
                raise
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
