"""Throw-away databases on the servers in use: made, filled, cloned for each run, and dropped whatever happens."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from domventas.core.provisioning import provision
from domventas.settings import env

_LARGE = 500_000_000  # bytes
URLS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_OPS_URL")

#: Tables with something in them; a partitioned one holds nothing itself, but is counted as a whole.
_FILLED = """
SELECT c.relname FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace
  AND (c.relkind = 'r' AND pg_relation_size(c.oid) > 0
       OR c.relkind = 'p' AND (SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree(c.oid) AS t) > 0)
"""


def environment(database: str) -> dict[str, str]:
    """Environment of a child process that works on a database; a file that names the live one counts no more."""
    urls = {name: re.sub(r"(?<=@)([^/]*)/[^?]*", rf"\1/{database}", env(name)) for name in URLS}
    return urls | {f"{name}_FILE": "" for name in URLS}


_ANY = SQL("SELECT 1 FROM {} LIMIT 1")
#: Which table refers to which.
_REFERENCES = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND connamespace = 'public'::regnamespace
"""


@contextmanager
def superuser(database: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
    """A connection that may make databases."""
    with psycopg.connect(env("DATABASE_SUPERUSER_URL"), dbname=database, autocommit=True) as connection:
        yield connection


@contextmanager
def fresh(template: str = "") -> Iterator[str]:
    """A new database: a clone of `template`, else one with roles and privileges but no tables. Dropped at the end."""
    name = f"bench_{os.getpid()}_{secrets.token_hex(3)}"
    with superuser() as server:
        _sweep(server)
        if template:
            _clone(server, template, name)
        else:
            provision(env("DATABASE_SUPERUSER_URL"), name)
    try:
        yield name
    finally:
        with superuser() as server:
            server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def analyze(database: str) -> None:
    """Give the planner its counts, as they are in a database that has lived for a while.

    Empty tables are as in a new installation, whatever was written there and undone: counted as empty, every check of a
    key into them would be planned as a look at all rows and stay so while they fill, for whoever writes.
    """
    with superuser(database) as server:
        used = [name for (name,) in server.execute(_FILLED).fetchall()]
        filled = {name for name in used if server.execute(_ANY.format(Identifier(name))).fetchone()}
        emptied = _with_what_refers_to(server, set(used) - filled)
        if emptied.isdisjoint(filled):
            for name in emptied:
                server.execute(SQL("TRUNCATE {} CASCADE").format(Identifier(name)))
        for name in filled:
            server.execute(SQL("VACUUM (ANALYZE) {}").format(Identifier(name)))
        server.execute("CHECKPOINT")


def _with_what_refers_to(server: psycopg.Connection[Any], tables: set[str]) -> set[str]:
    references = server.execute(_REFERENCES).fetchall()
    while more := {of for of, to in references if to in tables} - tables:
        tables = tables | more
    return tables


def rows_written(connection: psycopg.Connection[Any]) -> Mapping[str, int]:
    """Rows inserted, updated and deleted in this database since it was cloned, by the server's own counters."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT pg_stat_clear_snapshot()")
    ((inserted, updated, deleted),) = connection.execute(
        "SELECT coalesce(sum(n_tup_ins), 0), coalesce(sum(n_tup_upd), 0), coalesce(sum(n_tup_del), 0)"
        " FROM pg_stat_user_tables WHERE schemaname = 'public'"
    ).fetchall()
    return {"inserted": int(inserted), "updated": int(updated), "deleted": int(deleted)}


def _clone(server: psycopg.Connection[Any], template: str, name: str) -> None:
    # Small ones go through the log, which is quicker than the checkpoints around a copy of files.
    (size,) = server.execute("SELECT pg_database_size(%s)", [template]).fetchone() or (0,)
    way = SQL("FILE_COPY" if size > _LARGE else "WAL_LOG")
    statement = SQL("CREATE DATABASE {} OWNER owner TEMPLATE {} STRATEGY {}")
    server.execute(statement.format(Identifier(name), Identifier(template), way))


def _sweep(server: psycopg.Connection[Any]) -> None:
    """Drop what benches left behind when they were killed."""
    for (name,) in server.execute(r"SELECT datname FROM pg_database WHERE datname LIKE 'bench\_%'").fetchall():
        left = re.fullmatch(r"bench_(\d+)_\w+", name)
        if left and not _runs(int(left[1])):
            server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
