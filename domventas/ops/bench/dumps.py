"""Finished rows as files, for the limit of every bench: how fast PostgreSQL takes what needs no more thought."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.db import connection, transaction
from psycopg.sql import SQL, Identifier

_CHUNK = 1 << 20


@contextmanager
def rolled_back() -> Iterator[None]:
    """What is written inside is undone at the end."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def write(table: str, path: Path) -> None:
    """All rows of a table in the order of their keys."""
    query = SQL("COPY (SELECT * FROM {} ORDER BY id) TO STDOUT").format(Identifier(table))
    with connection.cursor() as cursor, path.open("wb") as file, cursor.copy(query) as copy:
        for chunk in copy:
            file.write(chunk)


def load(files: Sequence[tuple[str, Path]]) -> None:
    """Put files into their tables in one transaction, with all keys, indexes and checks on.

    As ops: COPY into a walled table is refused to the roles behind the wall.
    """
    with psycopg.connect(os.environ["DATABASE_OPS_URL"]) as server, server.cursor() as cursor:
        for table, path in files:
            with path.open("rb") as file, cursor.copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
                while chunk := file.read(_CHUNK):
                    copy.write(chunk)
