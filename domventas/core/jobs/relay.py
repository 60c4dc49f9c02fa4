"""Outbox relay and sweeper: what PostgreSQL says must run is told to the broker again until it has happened."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import declare
from domventas.core.models import Client

log = logging.getLogger(__name__)

TAKE = """
DELETE FROM core_dispatch WHERE client_id = %(client)s AND id IN (
    SELECT id FROM core_dispatch WHERE client_id = %(client)s ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING run_id
"""
SENT = """
UPDATE core_taskrun SET seen_at = %(now)s, not_before = NULL
WHERE client_id = %(client)s AND id = ANY(%(ids)s) AND state = 'queued' RETURNING id, task
"""
# A working run holds its advisory lock from before `running` until after its end, so "running without the lock" is
# dead. pg_locks is only read: taking the lock to probe it would make a worker believe that somebody is busy.
HELD = """l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = (hashtextextended(r.lock_key, 0) >> 32) & 4294967295
    AND l.objid::bigint = hashtextextended(r.lock_key, 0) & 4294967295"""
DEAD = f"""
UPDATE core_taskrun r SET state = 'queued', seen_at = %(now)s, note = 'worker lost'
WHERE client_id = %(client)s AND state = 'running' AND started_at < %(dead)s
    AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE {HELD})
RETURNING id
"""
# Only a living main process enforces the hard limit; a child whose parent was killed may hang for ever.
OVERDUE = f"""
SELECT r.id, pg_terminate_backend(l.pid) FROM core_taskrun r JOIN pg_locks l ON {HELD}
WHERE r.client_id = %(client)s AND r.state = 'running' AND r.task = %(task)s AND r.started_at < %(overdue)s
"""
UNSENT = "NOT EXISTS (SELECT 1 FROM core_dispatch d WHERE d.client_id = r.client_id AND d.run_id = r.id)"
DUE = f"""
SELECT id FROM core_taskrun r WHERE client_id = %(client)s AND state = 'queued' AND not_before < %(now)s AND {UNSENT}
"""
WAITING = f"client_id = %(client)s AND state = 'queued' AND not_before IS NULL AND task = ANY(%(tasks)s) AND {UNSENT}"
UNSEEN = f"SELECT id FROM core_taskrun r WHERE {WAITING} AND seen_at < %(resend)s ORDER BY seen_at LIMIT %(missing)s"
SEND = """
INSERT INTO core_dispatch (client_id, run_id) SELECT %(client)s, unnest(%(ids)s::bigint[]) ON CONFLICT DO NOTHING
"""

Backlog = Callable[[str], int]


def relay(*, limit: int = 200) -> int:
    """Hand waiting dispatches of every client to the broker; rolled back when it fails: each leaves at least once."""
    sent, rows = 0, declare.rows()
    for client in _clients():
        with tenancy.acting_for(client, actor="relay"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(TAKE, {"client": client, "limit": limit})
            ids = [row[0] for row in cursor.fetchall()]
            if not ids:
                continue
            cursor.execute(SENT, {"client": client, "ids": ids, "now": clock()})
            for run_id, row in cursor.fetchall():
                task = declare.TASKS[declare.declaration_of(row)]
                task.apply_async((client, run_id), queue=rows[row].queue, retry=False)
            sent += len(ids)
    return sent


def sweep(*, backlog: Backlog) -> dict[str, int]:
    """Give back what was lost: runs whose worker died, runs that are due again, runs whose message the broker lost.

    `backlog(queue)` = messages the broker holds. A mere backlog is never sent again, or it would grow for ever.
    """
    counts = {"dead": 0, "due": 0, "unseen": 0}
    for client in _clients():
        with tenancy.acting_for(client, actor="sweeper"), transaction.atomic():
            _sweep_client(client, clock(), backlog, counts)
    if counts["dead"] or counts["unseen"]:
        log.warning("sweeper: %s", counts)
    return counts


def _sweep_client(client: int, now: datetime, backlog: Backlog, counts: dict[str, int]) -> None:
    rows = declare.rows()
    with connection.cursor() as cursor:
        for job in rows.values():
            limit = now - timedelta(seconds=job.hard + settings.JOB_OVERDUE_GRACE)
            cursor.execute(OVERDUE, {"client": client, "task": job.name, "overdue": limit})
        cursor.execute(DEAD, {"client": client, "now": now, "dead": now - timedelta(seconds=settings.JOB_DEAD_AFTER)})
        dead = [row[0] for row in cursor.fetchall()]
        cursor.execute(DUE, {"client": client, "now": now})
        due = [row[0] for row in cursor.fetchall()]
        unseen: list[int] = []
        for queue in declare.QUEUES:
            tasks = [job.name for job in rows.values() if job.queue == queue]
            known: dict[str, Any] = {
                "client": client,
                "tasks": tasks,
                "resend": now - timedelta(seconds=settings.JOB_RESEND_AFTER),
            }
            cursor.execute(f"SELECT count(*) FROM core_taskrun r WHERE {WAITING}", known)
            missing = cursor.fetchone()[0] - backlog(queue)
            if missing > 0:
                cursor.execute(UNSEEN, {**known, "missing": missing})
                unseen += [row[0] for row in cursor.fetchall()]
        cursor.execute(SEND, {"client": client, "ids": dead + due + unseen})
    counts["dead"] += len(dead)
    counts["due"] += len(due)
    counts["unseen"] += len(unseen)


def _clients() -> list[int]:
    return list(Client.objects.filter(active=True).order_by("pk").values_list("pk", flat=True))
