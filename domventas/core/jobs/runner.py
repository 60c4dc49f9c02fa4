"""The wrapper around every job: take the lock, count the start, run, record the end: the row decides."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import declare

log = logging.getLogger(__name__)
T = TypeVar("T")


class Superseded(Exception):
    """Somebody else owns this run now: nothing of ours may be written any more."""


class Retry(Exception):
    """The body asks to be run again after some seconds, without counting it as an error (throttled, not ready)."""

    def __init__(self, after: float, note: str = "") -> None:
        super().__init__(note)
        self.after, self.note = after, note


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
                cursor.execute(
                    STEP,
                    [
                        json.dumps(progress) if progress is not None else None,
                        done,
                        now,
                        done,
                        now,
                        self.id,
                        self.attempt,
                    ],
                )
                if not cursor.rowcount:
                    raise Superseded(self.id)
            yield
        if progress is not None:
            self.progress = progress


STEP = """
UPDATE core_taskrun SET starts = 0, errors = 0, progress = coalesce(%s::jsonb, progress),
    state = CASE WHEN %s THEN 'done' ELSE 'running' END, seen_at = %s,
    ended_at = CASE WHEN %s THEN %s ELSE ended_at END
WHERE id = %s AND attempt = %s AND state = 'running'
"""
CLAIM = """
UPDATE core_taskrun SET state = CASE WHEN starts >= %(most)s THEN 'quarantined' ELSE 'running' END,
    starts = starts + 1, attempt = attempt + (starts < %(most)s)::int, started_at = %(now)s, seen_at = %(now)s,
    ended_at = CASE WHEN starts >= %(most)s THEN %(now)s END
WHERE id = %(id)s AND client_id = %(client)s AND state IN ('queued', 'running')
RETURNING state, account_id, attempt, slot, progress
"""
SKIP = """
UPDATE core_taskrun r SET state = 'skipped', ended_at = %(now)s, note = 'overlap'
WHERE id = %(id)s AND client_id = %(client)s AND state = 'queued' AND attempt = 0 AND EXISTS (
    SELECT 1 FROM core_taskrun o WHERE o.client_id = r.client_id AND o.lock_key = r.lock_key AND o.id <> r.id
    AND o.state = 'running')
"""
WAIT = """
UPDATE core_taskrun SET not_before = %(now)s::timestamptz + interval '500 ms', note = 'waiting for its lock'
WHERE id = %(id)s AND client_id = %(client)s AND state = 'queued'
"""
END = """
UPDATE core_taskrun SET starts = 0, errors = errors + %(error)s, note = %(note)s, seen_at = %(now)s,
    state = CASE WHEN %(error)s > 0 AND errors + 1 >= %(most)s THEN 'failed' ELSE %(state)s END,
    not_before = CASE WHEN %(state)s = 'queued'
        THEN %(now)s::timestamptz + make_interval(secs => %(delay)s * 2 ^ least(errors, 6)) END,
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
            return outcome if isinstance(outcome, str) else _patiently(lambda: _end(job, run, **outcome))
        finally:
            _release()


def _work(job: declare.Job, run: Run) -> dict[str, Any] | str:
    """Call the body and sort what came of it."""
    try:
        job.body(run)
    except Superseded:
        return "superseded"
    except Retry as retry:
        return {"state": "queued", "note": retry.note, "delay": retry.after}
    except SoftTimeLimitExceeded:
        return {"state": "queued", "note": "soft time limit", "error": 1}
    except (OperationalError, InterfaceError) as error:  # the database went away: not the body's fault
        return {"state": "queued", "note": f"{type(error).__name__}: {error}", "delay": 0.5}
    except Exception as error:
        log.exception("%s run %s failed", job.name, run.id)
        return {"state": "queued", "note": f"{type(error).__name__}: {error}", "error": 1, "delay": 1.0}
    return {"state": "done"}


def _claim(job: declare.Job, client_id: int, run_id: int) -> Run | str:
    """Take the lock, then count the start; committed before the body runs."""
    known: dict[str, Any] = {"id": run_id, "client": client_id, "now": clock(), "most": settings.JOB_MAX_STARTS}
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
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [row[0]])
        if not cursor.fetchone()[0]:
            return _busy(job, known)
        cursor.execute(CLAIM, known)
        row = cursor.fetchone()
        if row is None:
            return "nothing to do"
        if row[0] == "quarantined":
            log.error("%s run %s quarantined after %s starts without an end", job.name, run_id, settings.JOB_MAX_STARTS)
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


def _end(job: declare.Job, run: Run, state: str, note: str = "", error: int = 0, delay: float = 0.0) -> str:
    """Record the end, fenced; an error beyond the allowed retries is final."""
    known: dict[str, Any] = {
        "state": state, "note": note[:500], "error": error, "delay": delay, "most": job.retries, "now": clock(),
        "id": run.id, "client": run.client_id, "attempt": run.attempt,
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
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
