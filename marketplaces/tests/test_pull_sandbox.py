"""The pull engine against the sandbox: what it brings, that it repeats nothing, and that it notices what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from domventas.core import tenancy
from domventas.core.models import Client
from marketplaces.models import Account, Stream, SyncWindow
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.services.accounts import create_account
from marketplaces.services.pull import pull_stream
from marketplaces.services.sites import sync_sites
from orders.models import Order

NOW = datetime(2026, 11, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=5, orders=200, days=40, skus=40, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings) -> Iterator[Client]:
    settings.SANDBOX_URL = sandbox.url
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    with tenancy.acting_for(client, actor="test"):
        yield client


def amazon(code: str = "amazon-eu") -> Account:
    return create_account(
        channel="amazon", code=code, name="Amazon Europe", external_id="A2DOMVENTASEU",
        sites=["amazon.de", "amazon.fr"], now=NOW, cutover_on=(NOW - timedelta(days=45)).date(),
        secrets={
            "client_id": "sandbox-client", "client_secret": "sandbox-secret", "refresh_token": "Atzr|sandbox-eu",
        },
    )  # fmt: skip


def test_a_first_pull_brings_all_orders_and_covers_the_time(house):
    account = amazon()
    result = pull_stream(account, "orders", now=NOW)
    assert (result.state, result.error) == ("done", "")
    assert 50 < Order.objects.count() <= result.tally.records
    stream = Stream.objects.get(flow="orders")
    assert stream.complete_until == NOW - timedelta(minutes=3)
    assert stream.window is None
    assert not SyncWindow.objects.exclude(status="done").exists()
