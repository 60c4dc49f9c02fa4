"""No page asks the database more often because there is more to show."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from catalog.models import UnmappedItem
from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from marketplaces.models import Account, OutboxCommand, PushFlow, RawDocument, Stream, SyncWindow
from orders.models import Order, OrderCharge, OrderEvent, OrderLine, OrderRefund, Shipment, ShipmentLine
from tickets.models import Finding, StartingPosition, Ticket, TicketEvent

FEW, MANY = 2, 20


@pytest.fixture
def staff(client_dv: Client) -> Browser:
    """The client's administrator, signed in."""
    user = User.objects.create_user("admin@example.com", "a long password")
    Membership.objects.create(user=user, client=client_dv, role=Role.ADMIN)
    found = Browser()
    found.force_login(user)
    return found


def grow(count: int, known: dict[str, Any]) -> None:
    """So many more of everything that stands on a page."""
    for _ in range(count):
        account = make(Account, channel="amazon")
        stream = make(Stream, account=account, flow="orders")
        make(SyncWindow, stream=stream)
        make(RawDocument, account_id=known["stream"].account_id, flow=known["stream"].flow)
        line = make(OrderLine, order=known["order"])
        make(OrderCharge, line=line)
        make(OrderRefund, line=line)
        make(OrderEvent, order=known["order"])
        make(ShipmentLine, line=line, shipment=make(Shipment, order=known["order"]))
        make(PushFlow, account=account, verb="shipments")
        make(OutboxCommand, account=account, verb="shipments", payload={"ref": "1"}, state="accepted")
        make(UnmappedItem, account=account, state="open")
        ticket = make(Ticket, account=account)
        make(Finding, ticket=known["ticket"], account=account)
        make(Finding, ticket=ticket, account=account)
        make(TicketEvent, ticket=known["ticket"])
        make(StartingPosition, account=account)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/system/monitor/", "/system/monitor/?stream={stream.pk}", "/system/raw/{raw.pk}/", "/orders/{order.pk}/",
        "/tickets/", "/tickets/{ticket.number}/", "/admin/orders/order/", "/system/pushes/",
        "/admin/orders/shipment/", "/admin/orders/shipmentline/", "/admin/marketplaces/outboxcommand/",
        "/admin/catalog/unmappeditem/",
    ],
)  # fmt: skip
def test_a_page_asks_as_often_for_twenty_rows_as_for_two(path: str, staff: Browser, client_dv: Client) -> None:
    with acting_for(client_dv, actor="test"):
        account = make(Account, channel="amazon")
        known = {
            "stream": make(Stream, account=account, flow="orders"),
            "raw": make(RawDocument, account_id=account.pk, flow="offers", body=b"x\x9c\x03\x00\x00\x00\x00\x01"),
            "order": make(Order, account=account),
            "ticket": make(Ticket, account=account),
        }
        grow(FEW, known)
    address = "/c/dom-ventas" + path.format(**known)

    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert staff.get(address).status_code == 200
        return len(asked)

    queries()
    few = queries()
    with acting_for(client_dv, actor="test"):
        grow(MANY - FEW, known)
    assert queries() == few
