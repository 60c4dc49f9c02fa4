"""What tests of every app ask the database."""

from __future__ import annotations

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
