"""The template database, one per state of the schema, and its clones: every test process has one of its own."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

ROOT = Path(__file__).resolve().parent
#: What the tables, the walls and the roles are made from.
SCHEMA = (
    "**/migrations/*.py",
    "**/models.py",
    "**/models/**/*.py",
    "domventas/core/*.py",
    "domventas/core/db/*.py",
    "domventas/core/jobs/*.py",
    "domventas/settings.py",
)
APPS = ("domventas", "marketplaces", "catalog", "orders", "inventory", "finance", "ads", "tickets", "reports")
PACKAGES = ("django", "django-celery-beat", "psycopg")
KEPT_TEMPLATES = 3  # another run of this checkout may still clone the one before
STATE = hashlib.sha256((os.environ.get("DOMVENTAS_STATE") or str(ROOT)).encode()).hexdigest()[:8]
URLS = ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_OPS_URL")


def connect(variable: str, database: str | None = None) -> psycopg.Connection[Any]:
    url = os.environ.get(variable)
    if not url:
        pytest.exit(f"Tests on a server of your own need {variable}, too.", returncode=4)
    options = {"dbname": database} if database else {}
    return psycopg.connect(url, autocommit=True, **options)


def _schema_digest() -> str:
    digest = hashlib.sha256()
    for package in PACKAGES:
        digest.update(importlib.metadata.version(package).encode())
    files = {
        path
        for pattern in SCHEMA
        for path in ROOT.glob(pattern)
        if path.relative_to(ROOT).parts[0] in APPS and "tests" not in path.parts
    }
    for path in sorted(files):
        digest.update(path.relative_to(ROOT).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def template() -> str:
    """The template's name; built by the first process, while the others wait at the lock."""
    from django.core.management import call_command

    from domventas.core.provisioning import provision

    name = f"template_{_schema_digest()}"
    with connect("DATABASE_SUPERUSER_URL") as server:
        server.execute("SELECT pg_advisory_lock(hashtextextended('domventas template', 0))")
        _sweep(server)
        query = "SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate"
        if server.execute(query, [name]).fetchone():
            return name
        drop(server, name)
        provision(os.environ["DATABASE_SUPERUSER_URL"], name)
        point_at(name)
        call_command("migrate", verbosity=0)
        point_at("postgres")
        # IS_TEMPLATE lets ops clone what it does not own; no connections, or cloning would be refused
        mark = SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false")
        server.execute(mark.format(Identifier(name)))
    return name


def _sweep(server: psycopg.Connection[Any]) -> None:
    """Drop old templates, and what test processes of this checkout left when they were killed."""
    names = [name for (name,) in server.execute("SELECT datname FROM pg_database ORDER BY oid").fetchall()]
    templates = [name for name in names if re.fullmatch(r"template_[0-9a-f]{12}", name)]
    for name in templates[:-KEPT_TEMPLATES]:
        server.execute(SQL("ALTER DATABASE {} IS_TEMPLATE false").format(Identifier(name)))
        drop(server, name)
    for name in names:
        left = re.fullmatch(rf"test_{STATE}_(\d+)_\w+", name)
        if left and not _runs(int(left[1])):
            drop(server, name)


def _runs(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def drop(server: psycopg.Connection[Any], name: str) -> None:
    server.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))


def clone(template: str, name: str) -> None:
    point_at(name)
    with connect("DATABASE_OPS_URL", "postgres") as ops:
        drop(ops, name)
        ops.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))


def point_at(name: str) -> None:
    """Django's connections, and the addresses that child processes inherit."""
    from django.db import connections

    for connection in connections.all():
        connection.close()
        connection.settings_dict["NAME"] = name
    for variable in URLS:
        os.environ[variable] = re.sub(r"(?<=@)([^/]*)/[^?]*", rf"\1/{name}", os.environ[variable])
