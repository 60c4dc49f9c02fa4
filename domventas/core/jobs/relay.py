"""Outbox relay: a dispatch row is handed to the broker and vanishes in the same transaction, or stays."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import connection, transaction
from django.utils.timezone import now as clock
from kombu.exceptions import OperationalError as BrokerAway

from domventas.core import tenancy
from domventas.core.jobs import declare
from domventas.core.jobs.outcomes import AWAY
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
UNKNOWN = """
UPDATE core_taskrun SET state = 'failed', ended_at = %(now)s, note = 'No program declares this job any more.'
WHERE client_id = %(client)s AND id = ANY(%(ids)s) AND state = 'queued'
"""
CLOSED = """
UPDATE core_taskrun SET state = 'skipped', ended_at = %(now)s, note = 'The client is closed.'
WHERE client_id = %(client)s AND id = ANY(%(ids)s) AND state = 'queued'
"""


def relay(*, limit: int = 200) -> int:
    """Hand waiting dispatches of every client to the broker; rolled back when it fails: each leaves at least once."""
    return sum(each_client("relay", lambda client: _relay_client(client, limit)))


def _relay_client(client: int, limit: int) -> int:
    rows = declare.rows()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE, {"client": client, "limit": limit})
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return 0
        cursor.execute(SENT, {"client": client, "ids": ids, "now": clock()})
        sent = cursor.fetchall()
        unknown = [run_id for run_id, row in sent if row not in rows]
        if unknown:
            log.error("runs %s of client %s belong to jobs that nobody declares", unknown, client)
            cursor.execute(UNKNOWN, {"client": client, "ids": unknown, "now": clock()})
        still = _of_closed(client, sent) if sent else set()
        if still:
            cursor.execute(CLOSED, {"client": client, "ids": list(still), "now": clock()})
        for run_id, row in sent:
            if row in rows and run_id not in still:
                task = declare.TASKS[rows[row].declared]
                task.apply_async((client, run_id), queue=rows[row].queue, retry=False)
    return len(ids)


def _of_closed(client: int, sent: list[tuple[int, str]]) -> set[int]:
    """Runs that nothing asks for any more, as their client was closed meanwhile."""
    if Client.objects.filter(pk=client, active=True).exists():
        return set()
    rows = declare.rows()
    return {run_id for run_id, row in sent if row in rows and not rows[row].scope.closed}


def each_client(actor: str, work: Callable[[int], int]) -> list[int]:
    """Do it for every client, closed ones too, each by itself: the trouble of one holds up no other.

    Raises: what says that database or broker are away, which concerns all.
    """
    found: list[int] = []
    for client in Client.objects.order_by("pk").values_list("pk", flat=True):
        try:
            with tenancy.acting_for(client, actor=actor):
                found.append(work(client))
        except (*AWAY, BrokerAway):
            raise
        except Exception:
            log.exception("%s: client %s", actor, client)
    return found
