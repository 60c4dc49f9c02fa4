"""Confirming parcels: what is taken, what is refused and in which words, and what the outbox is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domventas.core.errors import Refused
from domventas.core.tenancy import acting_for
from marketplaces.connectors.bunnings import bunnings
from marketplaces.models import OutboxCommand
from marketplaces.records import FulfillmentOwner, LineStatus
from marketplaces.registry import connectors
from marketplaces.services import outbox, outbox_claims, push_flows
from orders.models import Order, OrderEvent, OrderLine, ShipFrom, Shipment
from orders.selectors import shipments
from orders.services.ingest import ingest
from orders.services.shipments import Parcel, confirm
from orders.tests.conftest import NOW, Shop, line, order

pytestmark = pytest.mark.db
TWO = (line(1, quantity=3), line(2))


@pytest.fixture
def placed(shop: Shop) -> Order:
    """An order of three kettles on one line and one on another, in an account that may be told."""
    flow = push_flows.flow_of(shop.account, "shipments", now=NOW)
    push_flows.set_mode(flow, "live", actor="test", now=NOW, why="for this test", early=True)
    ingest(shop.account, [order(lines=TWO)], now=NOW)
    return Order.objects.get()


def key(number: int) -> int:
    return OrderLine.objects.get(external_id=f"L{number}").pk


def parcel(pieces: dict[int, int] | None = None, **more: Any) -> Parcel:
    plain: dict[str, Any] = {
        "pieces": {key(number): count for number, count in (pieces or {1: 3, 2: 1}).items()},
        "carrier": "dhl", "tracking_number": "JD1", "shipped_at": NOW - timedelta(hours=1),
    }  # fmt: skip
    return Parcel(**(plain | more))


def states(order: Order) -> list[str]:
    return [each.state for each in shipments.of_order(order)]


def settle(state: str, message: str = "") -> None:
    """What the marketplace makes of the newest command."""
    command = OutboxCommand.objects.order_by("-pk").first()
    assert command is not None
    attempt = command.log.create(fence=command.fence, kind="send", started_at=NOW)
    outbox_claims.Held(command, attempt).settle(state, outcome=state, now=NOW, message=message)


def test_a_parcel_becomes_a_fact_and_a_command_at_once(placed: Order) -> None:
    made = confirm(placed, parcel(), now=NOW)
    assert (made.number, made.created_by, made.lines.count()) == (1, "test", 2)
    command = OutboxCommand.objects.get()
    assert (command.state, command.key, command.order_key) == ("waiting", made.ref, "O1")
    assert command.subject == "Order O1, parcel 1"
    told = command.payload
    assert told["lines"] == [{"line_ref": "L1", "quantity": 3}, {"line_ref": "L2", "quantity": 1}]
    assert (told["carrier"], told["tracking_number"], told["site"]) == ("DHL", "JD1", "amazon.de")
    assert told["tracking_url"].endswith("tracking-id=JD1")
    assert states(placed) == ["waiting"]
    assert [each.why_not for each in shipments.left(placed)] == ["all of it is confirmed already"] * 2


def test_parts_of_an_order_leave_in_parcels_until_nothing_is_left(placed: Order) -> None:
    confirm(placed, parcel({1: 2}), now=NOW)
    assert [each.quantity for each in shipments.left(placed)] == [1, 1]
    confirm(placed, parcel({1: 1, 2: 1}, tracking_number="JD2"), now=NOW)
    assert [(each.number, each.state) for each in shipments.of_order(placed)] == [(1, "waiting"), (2, "waiting")]
    with pytest.raises(Refused, match="confirmed already"):
        confirm(placed, parcel({2: 1}, tracking_number="JD3"), now=NOW)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"pieces": {}}, "The parcel is empty"),
        ({"pieces": {999: 1}}, "Line 999 is not of this order"),
        ({"carrier": "pigeon"}, "knows no carrier “pigeon”"),
        ({"tracking_number": ""}, "The tracking number is missing"),
        ({"return_carrier": "dhl", "return_tracking": "R1"}, "takes no return labels of “dhl”"),
        ({"shipped_at": NOW + timedelta(hours=1)}, "in the future"),
        ({"shipped_at": NOW - timedelta(days=90)}, "before the order was placed"),
    ],
)
def test_what_cannot_be_is_refused_in_words(placed: Order, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        confirm(placed, replace(parcel(), **wrong), now=NOW)
    assert not Shipment.objects.exists() and not OutboxCommand.objects.exists()


@pytest.mark.parametrize(("pieces", "words"), [(4, "4 pieces, but only 3 are left"), (-1, "is no number of pieces")])
def test_no_more_than_was_ordered(placed: Order, pieces: int, words: str) -> None:
    with pytest.raises(Refused, match=words):
        confirm(placed, parcel({1: pieces}), now=NOW)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"offer_ref": "X", "seller_sku": "X"}, "held: unknown offer"),
        ({"status": LineStatus.CANCELED, "quantity_canceled": 1}, "canceled"),
        ({"status": LineStatus.PENDING}, "not released for shipping yet"),
        ({"status": LineStatus.TO_ACCEPT}, "not released for shipping yet"),
        ({"status": LineStatus.SHIPPED, "quantity_shipped": 1}, "all of it has shipped"),
    ],
)
def test_a_line_that_may_not_leave_says_why(shop: Shop, values: dict[str, Any], words: str) -> None:
    ingest(shop.account, [order(lines=(line(1, **values),))], now=NOW)
    with pytest.raises(Refused, match=words):
        confirm(Order.objects.get(), parcel({1: 1}), now=NOW)


def test_what_the_marketplace_ships_is_not_ours_to_confirm(shop: Shop) -> None:
    ingest(shop.account, [order(fulfillment=FulfillmentOwner.MARKETPLACE)], now=NOW)
    with pytest.raises(Refused, match="we do not ship this order ourselves"):
        confirm(Order.objects.get(), parcel({1: 1}), now=NOW)


def test_pieces_the_marketplace_counts_already_are_not_counted_twice(placed: Order, shop: Shop) -> None:
    confirm(placed, parcel({1: 1}), now=NOW)
    seen = line(1, quantity=3, quantity_shipped=1, status=LineStatus.PART_SHIPPED)
    ingest(shop.account, [order(lines=(seen, line(2)), hour=1)], now=NOW)
    assert [each.quantity for each in shipments.left(placed)] == [2, 1]


def test_one_parcel_is_confirmed_once_however_often_the_button_is_pressed(placed: Order) -> None:
    confirm(placed, parcel({1: 1}), now=NOW)
    with pytest.raises(Refused, match="This parcel is confirmed already"):
        confirm(placed, parcel({1: 1}), now=NOW)
    assert Shipment.objects.count() == 1


def test_a_refused_parcel_can_be_put_right_and_confirmed_anew(placed: Order) -> None:
    confirm(placed, parcel(), now=NOW)
    settle("refused", "The tracking number is not one of DHL's.")
    assert states(placed) == ["refused"]
    assert OrderEvent.objects.get(what="parcel_refused").after == "#1 The tracking number is not one of DHL's."
    confirm(placed, parcel(tracking_number="JD2"), now=NOW)
    settle("accepted")
    assert states(placed) == ["refused", "accepted"]
    assert set(OrderEvent.objects.values_list("what", flat=True)) == {
        "parcel_confirmed", "parcel_refused", "parcel_accepted",
    }  # fmt: skip


def test_in_shadow_the_parcel_is_kept_and_nobody_is_told(shop: Shop) -> None:
    ingest(shop.account, [order()], now=NOW)
    confirm(Order.objects.get(), parcel({1: 1}), now=NOW)
    assert states(Order.objects.get()) == ["held"]
    assert outbox.release(shipments.commands(Shipment.objects.all()), now=NOW) == 1


@pytest.fixture
def whole(placed: Order) -> Iterator[None]:
    """The account's marketplace is told of whole orders only, with return labels and the place they start from."""
    real = connectors["amazon"]
    needs = frozenset({"tracking_number", "return_tracking", "ship_from"})
    assert bunnings.shipments is not None
    connectors["amazon"] = replace(
        real, shipments=replace(bunnings.shipments, needs=needs), package="orders.tests.carriers"
    )
    yield
    connectors["amazon"] = real


def test_a_marketplace_that_wants_more_is_given_it_or_says_so(placed: Order, whole: None) -> None:
    back = {"return_carrier": "dhl", "return_tracking": "R1"}
    with pytest.raises(Refused, match="return label"):
        confirm(placed, parcel(), now=NOW)
    with pytest.raises(Refused, match="whole orders only"):
        confirm(placed, parcel({1: 3}, **back), now=NOW)
    with pytest.raises(Refused, match="where parcels start"):
        confirm(placed, parcel(**back), now=NOW)
    ShipFrom.objects.create(account=placed.account, city="Venlo", postal_code="5928", country="NL")
    confirm(placed, parcel(**back), now=NOW)
    told = OutboxCommand.objects.get().payload
    assert told["ship_from"] == {"city": "Venlo", "postal_code": "5928", "country": "NL"}
    assert (told["return_carrier"], told["return_tracking"]) == ("DHL_RETURN", "R1")


def test_an_account_that_cannot_be_told_says_so(placed: Order) -> None:
    real = connectors["amazon"]
    connectors["amazon"] = replace(real, shipments=None)
    try:
        with pytest.raises(Refused, match="cannot be told of shipments"):
            confirm(placed, parcel(), now=NOW)
    finally:
        connectors["amazon"] = real


def test_a_member_of_one_brand_sees_parcels_of_that_brand_only(placed: Order, shop: Shop) -> None:
    confirm(placed, parcel(), now=NOW)
    with acting_for(placed.client_id, brands=(shop.corvo.pk,), actor="test"):
        assert not Shipment.objects.exists()
    with acting_for(placed.client_id, brands=(shop.alba.pk,), actor="test"):
        assert Shipment.objects.count() == 1
