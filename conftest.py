"""One template database per state of the schema; each test process clones it and connects as the role app."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pytest_databases import STATE, clone, connect, drop, point_at, template

if TYPE_CHECKING:
    from domventas.core.models import Client
    from domventas.tests.canaries import Watch


@pytest.fixture(scope="session")
def watch(django_test_environment: None) -> Iterator[Watch]:
    """Whoever looks for secrets in plain during the whole run: in log lines, answers, and what commands print."""
    from domventas.tests.canaries import Watch

    watch = Watch()
    logging.getLogger().addHandler(watch)
    with pytest.MonkeyPatch.context() as patch:
        watch.answers.listen(patch)
        yield watch
    logging.getLogger().removeHandler(watch)
    leaks = [*watch.found, *(f"Valkey's {key}" for key in watch.valkey())]
    assert not leaks, f"secrets stand in plain in {'; '.join(leaks)}"


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: Any, watch: Watch) -> Iterator[None]:
    """Make the template if the schema has changed, and this process's clone of it.

    app may not TRUNCATE, so a test that commits is followed by a fresh clone (0.1 s) instead of a flush. What it has
    left is searched for secrets before.
    """
    from django.test import TransactionTestCase

    def reset(_case: object) -> None:
        during = os.environ.get("PYTEST_CURRENT_TEST", "the run")
        watch.found += [
            f"{place} after {during}" for place in watch.tables()
        ]  # to fail here would stop the cleaning up
        clone(source, name)

    name = f"test_{STATE}_{os.getpid()}_{secrets.token_hex(3)}"
    with django_db_blocker.unblock():
        source = template()
        clone(source, name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TransactionTestCase, "_fixture_teardown", reset)
            yield
        point_at("postgres")
        with connect("DATABASE_OPS_URL", "postgres") as ops:
            drop(ops, name)


@pytest.fixture
def client_dv(db: None) -> Client:
    """The client Dom Ventas."""
    from domventas.core.models import Client

    return Client.objects.create(slug="dom-ventas", name="Dom Ventas")


@pytest.fixture
def client2(db: None) -> Client:
    """Another client, to prove that it stays out of sight."""
    from domventas.core.models import Client

    return Client.objects.create(slug="other-house", name="Other House")


@pytest.fixture
def acting(client_dv: Client) -> Iterator[Client]:
    """Act for Dom Ventas during the test."""
    from domventas.core import tenancy

    with tenancy.acting_for(client_dv, actor="test"):
        yield client_dv
