"""What tests of every app ask the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import connection


def is_locked(key: str) -> bool:
    """Whether this session holds the advisory lock of a key. It may hold others, such as one for a new month's part."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
            " AND (classid::bigint << 32) | objid::bigint = hashtextextended(%s, 0))",
            [key],
        )
        return bool(cursor.fetchone()[0])


def statements(asked: Iterable[Mapping[str, str]]) -> int:
    """How many statements were sent, of those a `CaptureQueriesContext` holds.

    Those that count a table for the planner are left out: whether it is due depends on what earlier tests and the
    server itself have counted, which no rollback takes back.
    """
    return sum("core_analyze" not in each["sql"] for each in asked)
