"""The sweeper: whatever PostgreSQL says must run is handed out again until it has happened.

It carries the survival of work, not the broker: dead workers, hung ones and lost messages all end here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.timezone import now as clock

from domventas.core.jobs import declare
from domventas.core.jobs.relay import each_client
from domventas.core.jobs.runner import DIED

log = logging.getLogger(__name__)

# A working run holds a lock of its own from before `running` until after its end, so "running without the lock" is
# dead. pg_locks is only read: taking the lock to probe it would make a worker believe that somebody is busy. It is not
# the lock of the work: that one may be held by the next run already, which must not pass for the life of this one.
HELD: Final = """l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = (hashtextextended('run:' || r.id, 0) >> 32) & 4294967295
    AND l.objid::bigint = hashtextextended('run:' || r.id, 0) & 4294967295"""
TURN: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('sweeper:' || %(client)s, 0))"
LIMITS: Final = "unnest(%(tasks)s::text[], %(hard)s::int[]) AS job (task, hard)"
TOO_LONG: Final = "Ended by force at its time limit."
DEAD = f"""
UPDATE core_taskrun r SET state = 'queued', seen_at = %(now)s, note =
    CASE WHEN r.started_at + make_interval(secs => job.hard) < %(now)s THEN %(too_long)s ELSE %(died)s END
FROM {LIMITS}
WHERE client_id = %(client)s AND state = 'running' AND started_at < %(dead)s AND job.task = r.task
    AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE {HELD})
RETURNING r.id
"""
# Only a living main process enforces the hard limit; a child whose parent hangs may hang for ever.
OVERDUE = f"""
SELECT r.id, pg_terminate_backend(l.pid)
FROM core_taskrun r JOIN {LIMITS} ON job.task = r.task JOIN pg_locks l ON {HELD}
WHERE r.client_id = %(client)s AND r.state = 'running'
    AND r.started_at < %(now)s::timestamptz - make_interval(secs => job.hard + %(grace)s)
"""
UNSENT = "NOT EXISTS (SELECT 1 FROM core_dispatch d WHERE d.client_id = r.client_id AND d.run_id = r.id)"
DUE = f"""
SELECT id FROM core_taskrun r WHERE client_id = %(client)s AND state = 'queued' AND not_before < %(now)s AND {UNSENT}
"""
SENT = f"client_id = %(client)s AND state = 'queued' AND not_before IS NULL AND {UNSENT}"
WAITING = f"SELECT task, count(*) FROM core_taskrun r WHERE {SENT} GROUP BY task"
UNSEEN = f"""
SELECT id FROM core_taskrun r WHERE {SENT} AND task = ANY(%(tasks)s) AND seen_at < %(resend)s
ORDER BY seen_at, id LIMIT %(missing)s
"""
SEND = """
INSERT INTO core_dispatch (client_id, run_id) SELECT %(client)s, unnest(%(ids)s::bigint[]) ON CONFLICT DO NOTHING
"""

Backlog = Callable[[list[str]], dict[str, int]]


def sweep(*, backlog: Backlog) -> dict[str, int]:
    """Give back what was lost: runs whose worker died, runs that are due again, runs whose message the broker lost.

    `backlog(queues)` = messages the broker holds. A mere backlog is never sent again, or it would grow for ever: of
    what was sent, only as much as the broker no longer has, the oldest first.
    """
    counts, waiting, now = Counter[str](dead=0, due=0, unseen=0), Counter[str](), clock()
    each_client("sweeper", lambda client: _sweep_client(client, now, counts, waiting))
    if waiting:
        held = backlog(sorted(waiting))
        missing = {queue: number - held[queue] for queue, number in waiting.items() if number > held[queue]}
        each_client("sweeper", lambda client: _resend(client, now, counts, missing))
    if counts["dead"] or counts["unseen"]:
        log.warning("sweeper: %s", dict(counts))
    return dict(counts)


def _sweep_client(client: int, now: datetime, counts: Counter[str], waiting: Counter[str]) -> int:
    """Cut the overdue, queue the dead and the due; add to `waiting` what was sent and has not begun, by queue."""
    rows = declare.rows()
    known: dict[str, Any] = {
        "client": client, "now": now, "dead": now - timedelta(seconds=settings.JOB_DEAD_AFTER),
        "grace": settings.JOB_OVERDUE_GRACE, "tasks": list(rows), "hard": [job.hard for job in rows.values()],
        "died": DIED, "too_long": TOO_LONG,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        if not _has_turn(cursor, client):
            return 0
        cursor.execute(OVERDUE, known)
        cursor.execute(DEAD, known)
        dead = [row[0] for row in cursor.fetchall()]
        cursor.execute(DUE, known)
        due = [row[0] for row in cursor.fetchall()]
        if dead or due:
            cursor.execute(SEND, {"client": client, "ids": dead + due})
        cursor.execute(WAITING, known)
        for task, number in cursor.fetchall():
            if task in rows:
                waiting[rows[task].queue] += number
    counts.update(dead=len(dead), due=len(due))
    return len(dead) + len(due)


def _resend(client: int, now: datetime, counts: Counter[str], missing: dict[str, int]) -> int:
    """Send again what the broker has lost; `missing` shrinks by what this client took of it."""
    rows, ids = declare.rows(), list[int]()
    resend = now - timedelta(seconds=settings.JOB_RESEND_AFTER)
    with transaction.atomic(), connection.cursor() as cursor:
        if not _has_turn(cursor, client):
            return 0
        for queue in missing:
            tasks = [job.name for job in rows.values() if job.queue == queue]
            known: dict[str, Any] = {"client": client, "tasks": tasks, "resend": resend, "missing": missing[queue]}
            cursor.execute(UNSEEN, known)
            found = [row[0] for row in cursor.fetchall()]
            missing[queue] -= len(found)
            ids += found
        if ids:
            cursor.execute(SEND, {"client": client, "ids": ids})
    counts.update(unseen=len(ids))
    return len(ids)


def _has_turn(cursor: CursorWrapper, client: int) -> bool:
    """One sweeper at a time looks after a client; two would update the same rows, each in its own order."""
    cursor.execute(TURN, {"client": client})
    return bool(cursor.fetchone()[0])
