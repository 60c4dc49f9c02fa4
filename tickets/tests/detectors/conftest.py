"""A toy marketplace over real HTTP that takes parcels, refuses them or loses answers, with one account and orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from catalog.services.products import ProductRow, load_products
from domventas.core import tenancy
from domventas.core.models import Client, Threshold
from domventas.tests.canaries import TOY_KEY
from marketplaces.models import Account, Stream
from marketplaces.records import LineStatus
from marketplaces.registry import connectors
from marketplaces.services import push_flows
from marketplaces.services.accounts import create_account
from marketplaces.services.outbox_drain import drain
from marketplaces.services.sites import sync_sites
from marketplaces.tests.parcels import PUSH, START, Clock, Parcels, serving
from marketplaces.tests.support import Toy
from orders.models import Order, Shipment
from orders.selectors import shipments
from orders.services.ingest import ingest
from orders.services.shipments import Parcel, confirm
from orders.tests.conftest import line, order
from tickets.detector import Detector
from tickets.models import Ticket
from tickets.services import engine


@dataclass
class House:
    """An account whose shipments are live, its marketplace (orders it shows, parcels it takes), and the time of day."""

    account: Account
    parcels: Parcels
    toy: Toy
    clock: Clock = field(default_factory=Clock)

    def placed(self, number: int | str = 1, *, hours: float = 5, **values: Any) -> Order:
        """An order of one kettle that has to ship within so many hours."""
        due = values.pop("ship_by", self.clock() + timedelta(hours=hours))
        row = order(number, site="toy.example", ordered_at=START - timedelta(days=1),
                    updated_at=self.clock(), lines=(line(1, ship_by=due, **values),))  # fmt: skip
        ingest(self.account, [row], now=self.clock())
        return Order.objects.get(external_id=f"O{number}")

    def shipped(self, number: int = 1) -> None:
        """The next reading shows the order shipped."""
        self.placed(number, status=LineStatus.SHIPPED, quantity_shipped=1, shipped_at=self.clock())

    def confirm(self, placed: Order, *, number: str = "JD1") -> Shipment:
        """All that is left of it leaves in a parcel."""
        pieces = {each.line.pk: each.quantity for each in shipments.left(placed) if each.quantity}
        parcel = Parcel(pieces=pieces, carrier="dhl", tracking_number=number, shipped_at=self.clock())
        return confirm(placed, parcel, now=self.clock())

    def send(self, *faults: str) -> None:
        """The sending job's run, with what the marketplace does to its calls."""
        self.parcels.faults += faults
        drain(self.account, "shipments", clock=self.clock)

    def look(self, detector: Detector, **later: float) -> list[Ticket]:
        """Run the detector on fresh streams so much later; what is open then."""
        self.clock.forward(**later)
        Stream.objects.update(complete_until=self.clock(), last_success_at=self.clock())
        engine.run(detector, now=self.clock())
        return list(Ticket.objects.exclude(state=Ticket.State.RESOLVED).order_by("number"))


@pytest.fixture
def house(transactional_db: None, settings: Any) -> Iterator[House]:
    """One client with the toy marketplace, from whose account everything is fresh."""
    toy = Toy()
    connectors["toy"] = replace(toy.connector(), shipments=PUSH, package="orders.tests.carriers")
    try:
        sync_sites()
        client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
        with serving(Parcels()) as parcels, tenancy.acting_for(client, actor="test"):
            settings.SANDBOX_URL = parcels.url
            # The audit goes by the database's clock, not by the house's; it has a test of its own.
            Threshold.objects.create(code="technical_issue.seal_minutes", value=Decimal(10**6))
            made = another("toy-1", now=START)
            load_products(
                [ProductRow(sku="ALBA-1", brand="Alba", title="Kettle", category="home", eans=("4006381333931",))],
                now=START,
            )
            yield House(made, parcels, toy)
    finally:
        connectors.pop("toy", None)


def another(code: str, *, now: datetime) -> Account:
    """An account at the toy marketplace whose shipments are live."""
    made = create_account(
        channel="toy", code=code, name=code, external_id=code, sites=["toy.example"], secrets={"key": TOY_KEY}, now=now
    )
    flow = push_flows.flow_of(made, "shipments", now=now)
    push_flows.set_mode(flow, "live", actor="test", now=now, why="for this test", early=True)
    return made
