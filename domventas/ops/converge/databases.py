"""A database per seed, cloned from one template with the schema of the day."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from psycopg.sql import SQL, Identifier

from domventas.core.provisioning import provision

URLS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_OPS_URL")
_PREFIX = "converge"


def template() -> str:
    """The template's name; made when there is none for the code as it stands, and older ones dropped."""
    name = f"{_PREFIX}_template_{digest('**/migrations/*.py', '**/models/**/*.py', 'domventas/core/**/*.py')}"
    with _server("DATABASE_SUPERUSER_URL") as server:
        server.execute("SELECT pg_advisory_lock(hashtextextended('domventas converge', 0))")
        found = server.execute("SELECT datname FROM pg_database WHERE datistemplate AND datname ~ %s", [f"^{_PREFIX}_"])
        have = {row[0] for row in found.fetchall()}
        for old in have - {name}:
            server.execute(SQL("ALTER DATABASE {} IS_TEMPLATE false").format(Identifier(old)))
            _drop(server, old)
        if name in have:
            return name
        _drop(server, name)
        provision(os.environ["DATABASE_SUPERUSER_URL"], name)
        with _pointed_at(name):
            call_command("migrate", verbosity=0)
        mark = SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false")
        server.execute(mark.format(Identifier(name)))
    return name


@contextmanager
def clone(of: str) -> Iterator[str]:
    """A clone that Django's connections point at inside the block; dropped at its end."""
    name = f"{_PREFIX}_{os.getpid()}"
    with _server("DATABASE_OPS_URL") as ops:
        _drop(ops, name)
        ops.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(of)))
    try:
        with _pointed_at(name):
            yield name
    finally:
        with _server("DATABASE_OPS_URL") as ops:
            _drop(ops, name)


def cut_sessions(name: str) -> int:
    """End every session of a database; returns how many there were."""
    with _server("DATABASE_OPS_URL") as ops:
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND usename = 'app'"
        ((ended,),) = ops.execute(query, [name]).fetchall()
    return int(ended)


def digest(*patterns: str) -> str:
    """A short hash of the project's own files."""
    found = hashlib.sha256()
    files = {path for pattern in patterns for path in settings.BASE_DIR.glob(pattern)}
    for path in sorted(files):
        inside = path.relative_to(settings.BASE_DIR)
        if not inside.parts[0].startswith(".") and "tests" not in inside.parts:
            found.update(inside.as_posix().encode() + Path(path).read_bytes())
    return found.hexdigest()[:12]


@contextmanager
def _server(variable: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(os.environ[variable], dbname="postgres", autocommit=True) as connection:
        yield connection


def _drop(server: psycopg.Connection[Any], name: str) -> None:
    server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


@contextmanager
def _pointed_at(name: str) -> Iterator[None]:
    """Django's connections, and the addresses that child processes inherit, lead to a database."""
    before = {variable: os.environ[variable] for variable in URLS}
    names = {connection.alias: connection.settings_dict["NAME"] for connection in connections.all()}
    try:
        for connection in connections.all():
            connection.close()
            connection.settings_dict["NAME"] = name
        os.environ.update({key: re.sub(r"(?<=@)([^/]*)/[^?]*", rf"\1/{name}", url) for key, url in before.items()})
        yield
    finally:
        for connection in connections.all():
            connection.close()
            connection.settings_dict["NAME"] = names[connection.alias]
        os.environ.update(before)
