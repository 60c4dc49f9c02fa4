"""A parcel confirmed here is seen shipped by the next reading, and from then on the marketplace owes for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from catalog.services.products import ProductRow, load_products
from domventas.core import tenancy
from domventas.core.models import Client
from finance.models import Receivable
from finance.services.reconcile import reconcile
from marketplaces.models import Account
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.services import push_flows
from marketplaces.services.accounts import create_account
from marketplaces.services.outbox_drain import drain
from marketplaces.services.sites import sync_sites
from marketplaces.services.sync import sync
from marketplaces.tests.connectors.doors import SECRETS
from orders.models import Order, OrderLine
from orders.selectors import shipments
from orders.services.shipments import Parcel, confirm

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(seed=3, orders=900, days=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture(params=["amazon", "bunnings"])
def account(request: Any, sandbox: Sandbox, settings: Any, transactional_db: None) -> Iterator[Account]:
    """An account of the sandbox whose shipments are live, with its orders read."""
    settings.SANDBOX_URL = sandbox.url
    sync_sites()
    sites = {"amazon": ["amazon.de", "amazon.fr"], "bunnings": ["bunnings.com.au"]}[request.param]
    with tenancy.acting_for(Client.objects.create(slug="dom-ventas", name="Dom Ventas"), actor="test"):
        made = create_account(
            channel=request.param, code="shop", name="Shop", external_id="X", sites=sites,
            secrets=SECRETS[request.param], now=NOW, cutover_on=(NOW - timedelta(days=5)).date(),
        )  # fmt: skip
        articles = [
            ProductRow(sku=x.sku, brand=x.brand, title=x.title, category=x.category, eans=(x.ean,))
            for x in sandbox.state.world.products
        ]
        load_products(articles, now=NOW)
        flow = push_flows.flow_of(made, "shipments", now=NOW)
        push_flows.set_mode(flow, "live", actor="test", now=NOW, why="for this test", early=True)
        read(made, NOW, "offers")
        read(made, NOW, "orders")
        yield made


def read(account: Account, now: datetime, flow: str) -> None:
    assert [x.pulled.state for x in sync([account], now=now, flow=flow)] == ["done"]


def test_confirmed_told_seen_and_owed(account: Account, sandbox: Sandbox) -> None:
    order = next(
        found
        for found in Order.objects.filter(status="to_ship", fulfillment="seller").order_by("pk")
        if all(each.quantity for each in shipments.left(found))
    )
    pieces = {each.line.pk: each.quantity for each in shipments.left(order)}
    carrier = next(iter(shipments.carriers(account)))
    parcel = Parcel(pieces=pieces, carrier=carrier, tracking_number="JD77", shipped_at=NOW - timedelta(minutes=20))
    confirm(order, parcel, now=NOW)
    assert drain(account, "shipments", clock=lambda: NOW).accepted == 1
    lines = OrderLine.objects.filter(order=order)
    assert set(lines.values_list("status", flat=True)) == {"to_ship"}, "a fact is what the marketplace says"
    assert not Receivable.objects.filter(line__order=order).exists()
    later = NOW + timedelta(minutes=15)
    sandbox.set_clock(later)
    read(account, later, "orders")
    assert set(lines.values_list("status", flat=True)) == {"shipped"}
    assert all(shipped == pieces[pk] for pk, shipped in lines.values_list("pk", "quantity_shipped"))
    assert [each.why_not for each in shipments.left(order)] == ["all of it has shipped"] * len(pieces)
    reconcile(now=later)
    assert set(Receivable.objects.filter(line__order=order).values_list("line_id", flat=True)) == set(pieces)
