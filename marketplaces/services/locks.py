"""Locks on names, held by this process's database session: they go with it, however it ends."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError, connection


def try_lock(key: str) -> bool:
    """Take the lock unless another session holds it. Never waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        return bool(cursor.fetchone()[0])


def unlock(key: str) -> None:
    """Give the lock back; if that fails the connection goes, and the lock with it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
    except (OperationalError, InterfaceError):
        connection.close()
