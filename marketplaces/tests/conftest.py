"""A client with a toy marketplace, and with Amazon and Bunnings in the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from domventas.core import tenancy
from domventas.core.models import Client
from domventas.tests.canaries import TOY_KEY
from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from marketplaces.tests.support import NOW, Toy


@pytest.fixture
def toy(transactional_db: None) -> Iterator[Toy]:
    """The toy marketplace, registered for this test, while we act for one client."""
    world = Toy()
    connectors["toy"] = world.connector()
    try:
        sync_sites()
        client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
        with tenancy.acting_for(client, actor="test"):
            yield world
    finally:
        connectors.pop("toy", None)


@pytest.fixture
def account(toy: Toy) -> Account:
    """An account at the toy marketplace."""
    return toy_account("toy-1")


def toy_account(code: str) -> Account:
    """Another account at the toy marketplace."""
    return create_account(
        channel="toy", code=code, name=code, external_id=code, sites=["toy.example"],
        secrets={"key": TOY_KEY}, now=NOW,
    )  # fmt: skip


@pytest.fixture
def client_of(toy: Toy) -> Client:
    """The client we act for."""
    return Client.objects.get(slug="dom-ventas")
