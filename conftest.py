"""One template database per state of the schema; every worker clones it and connects as the unprivileged role."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

ROOT = Path(__file__).parent
SCHEMA_FILES = {"walls.py", "wall_functions.py", "provisioning.py", "fields.py"}


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marks mean."""
    for mark in (
        "db: holds constraints, walls, bulk writes or locks; run on the machine's own PostgreSQL too",
        "fault: kills real processes; run by `make faults`",
        "slow: longer than the suite may wait",
        "screens: needs Chromium",
    ):
        config.addinivalue_line("markers", mark)


def _superuser() -> psycopg.Connection[Any]:
    return psycopg.connect(os.environ["DATABASE_SUPERUSER_URL"], autocommit=True)


def _template_name() -> str:
    """Named after everything the schema depends on, Django's own version included."""
    import django

    digest = hashlib.sha256(django.__version__.encode())
    files = {
        path
        for path in ROOT.glob("*/**/*.py")
        if {"migrations", "models"} & {path.parent.name, path.stem} or path.name in SCHEMA_FILES
    }
    for path in sorted(files):
        digest.update(path.read_bytes())
    return f"template_{digest.hexdigest()[:12]}"


def _point_at(name: str) -> None:
    from django.db import connections

    for connection in connections.all():
        connection.close()
        connection.settings_dict["NAME"] = name


def _template() -> str:
    from django.core.management import call_command

    from domventas.core.provisioning import provision

    name = _template_name()
    server_id = hashlib.sha256(os.environ["DATABASE_SUPERUSER_URL"].encode()).hexdigest()[:10]
    lock_file = Path(tempfile.gettempdir()) / f"domventas-template-{server_id}.lock"
    with lock_file.open("w") as lock, _superuser() as server:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if server.execute("SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate", [name]).fetchone():
            return name
        stale = "SELECT datname FROM pg_database WHERE datname ~ '^template_[0-9a-f]{12}$'"
        for (old,) in server.execute(stale).fetchall():
            server.execute(SQL("ALTER DATABASE {} IS_TEMPLATE false").format(Identifier(old)))
            server.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(old)))
        provision(os.environ["DATABASE_SUPERUSER_URL"], name)
        _point_at(name)
        call_command("migrate", verbosity=0)
        _point_at("nowhere")
        # so that ops, who does not own it, may clone it
        server.execute(SQL("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false").format(Identifier(name)))
    return name


def _clone(template: str, name: str) -> None:
    _point_at(name)
    with psycopg.connect(os.environ["DATABASE_OPS_URL"], dbname="postgres", autocommit=True) as ops:
        ops.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        ops.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: Any
) -> Iterator[None]:
    """Clone the template for this worker; a transactional test resets by cloning again, never by TRUNCATE."""
    from django.test import TransactionTestCase

    worker = getattr(request.config, "workerinput", {}).get("workerid", "gw")
    name = f"test_{worker}"
    with django_db_blocker.unblock():
        template = _template()
        _clone(template, name)
        TransactionTestCase._fixture_teardown = lambda self: _clone(template, name)  # type: ignore[method-assign]
        yield
        _point_at("nowhere")


@pytest.fixture
def client_dv(db: None) -> Any:
    """The client Dom Ventas."""
    from domventas.core.models import Client

    return Client.objects.create(slug="dom-ventas", name="Dom Ventas")


@pytest.fixture
def client2(db: None) -> Any:
    """Another client, to prove that it stays out of sight."""
    from domventas.core.models import Client

    return Client.objects.create(slug="other-house", name="Other House")


@pytest.fixture
def acting(client_dv: Any) -> Iterator[Any]:
    """Act for Dom Ventas during the test."""
    from domventas.core import tenancy

    with tenancy.acting_for(client_dv, actor="test"):
        yield client_dv
