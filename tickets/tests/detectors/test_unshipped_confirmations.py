"""Shipped by us and not for the marketplace: its words open a ticket, its acceptance closes it, and no wave has it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplaces.models import OutboxCommand
from marketplaces.services import outbox, push_flows
from orders.models import Shipment
from orders.selectors import shipments
from orders.selectors.confirmations import confirmations
from tickets.detector import Look, Seen
from tickets.detectors.unshipped_order import unshipped_order
from tickets.models import Finding
from tickets.services import engine
from tickets.tests.detectors.conftest import House

pytestmark = pytest.mark.db


@pytest.fixture(autouse=True)
def started(house: House) -> None:
    """The account's starting position is taken, of nothing."""
    assert house.look(unshipped_order) == []


def seen(house: House) -> list[Seen]:
    return list(unshipped_order.find(Look(now=house.clock(), limits=unshipped_order.limits)))


def checks(house: House) -> list[str]:
    return [item.check for item in seen(house)]


def test_a_refusal_opens_a_ticket_in_the_marketplaces_words_and_its_acceptance_closes_it(house: House) -> None:
    placed = house.placed()
    house.confirm(placed)
    assert house.look(unshipped_order, minutes=1) == [], "on its way"
    house.send("refuse")
    (ticket,) = house.look(unshipped_order, minutes=1)
    assert "refused parcel 1: The carrier is not known here." in ticket.cause
    assert (ticket.title, ticket.severity) == ("Not confirmed: O1", "S2")
    assert Finding.objects.get().refs["where_only"] == {"q": "O1"}
    assert house.look(unshipped_order, minutes=10) == [ticket]
    house.confirm(placed, number="JD2")
    house.send()
    assert house.look(unshipped_order, minutes=1) == []
    ticket.refresh_from_db()
    assert (ticket.state, ticket.resolution) == ("resolved", "gone")


def test_an_order_is_in_its_wave_or_an_exception_and_never_in_both(house: House) -> None:
    waiting, refused = house.placed(1), house.placed(2)
    assert checks(house) == ["wave", "wave"]
    house.confirm(refused)
    assert [(item.check, item.refs["order"]) for item in seen(house)] == [("wave", waiting.external_id)]
    house.send("refuse")
    assert [(item.check, item.refs["order"]) for item in seen(house)] == [
        ("confirmation", refused.external_id), ("wave", waiting.external_id),
    ]  # fmt: skip
    assert seen(house)[1].facts["left in the wave"] == 1


def test_what_was_given_up_stays_until_the_marketplace_has_it_or_shows_it_shipped(house: House) -> None:
    house.confirm(house.placed())
    outbox.give_up(OutboxCommand.objects.all(), actor="ines@example.com", now=house.clock())
    (ticket,) = house.look(unshipped_order, minutes=1)
    assert "given up: Given up by ines@example.com." in ticket.cause and "own site" in ticket.action
    outbox.look_again(shipments.commands(Shipment.objects.all()), now=house.clock())
    house.send()  # proved absent, and sent again
    house.clock.forward(minutes=2)
    house.send()
    for _ in range(9):
        house.clock.forward(minutes=3)
        house.send()
    assert OutboxCommand.objects.get().state == "accepted"
    assert house.look(unshipped_order, minutes=1) == []
    house.confirm(house.placed(2), number="JD2")
    outbox.give_up(OutboxCommand.objects.all(), actor="ines@example.com", now=house.clock())
    assert len(house.look(unshipped_order, minutes=1)) == 1
    house.shipped(2)
    assert house.look(unshipped_order, minutes=1) == []


def test_a_lost_answer_is_told_after_half_an_hour_and_closes_when_it_was_found(house: House) -> None:
    house.confirm(house.placed())
    house.parcels.down = True
    house.send("after")
    assert house.look(unshipped_order, minutes=29) == []
    house.send()
    (ticket,) = house.look(unshipped_order, minutes=2)
    assert "Nobody knows yet whether parcel 1 was taken" in ticket.cause
    house.parcels.down = False
    house.clock.forward(minutes=31)
    house.send()
    assert house.look(unshipped_order, minutes=1) == []


def test_what_was_never_sent_has_one_cause_for_all_until_it_makes_an_order_late(house: House) -> None:
    push_flows.stop_everything(actor="ines@example.com", now=house.clock())
    house.confirm(house.placed(hours=1))
    assert house.look(unshipped_order, minutes=31) == []
    assert [(item.check, item.suppressed_by) for item in seen(house)] == [("confirmation", "technical_issue")]
    (ticket,) = house.look(unshipped_order, minutes=30)
    assert (ticket.severity, ticket.cause[:9]) == ("S1", "Parcel 1 ")
    push_flows.allow_again(actor="ines@example.com", now=house.clock())
    house.send()
    (ticket,) = house.look(unshipped_order, minutes=1)
    assert ticket.title == "Late: O1", "told, and the marketplace has not shown it yet"
    house.shipped()
    assert house.look(unshipped_order, minutes=1) == []


def test_what_is_held_in_shadow_stays_in_its_wave_for_nobody_was_told(house: House) -> None:
    flow = push_flows.flow_of(house.account, "shipments", now=house.clock())
    push_flows.set_mode(flow, "shadow", actor="test", now=house.clock())
    house.confirm(house.placed())
    assert checks(house) == ["wave"]


def test_a_refused_order_due_later_than_the_horizon_is_told_all_the_same(house: House) -> None:
    house.confirm(house.placed(hours=200))
    house.send("refuse")
    assert [(item.check, item.severity) for item in seen(house)] == [("confirmation", "S3")]


def test_pieces_left_are_those_the_order_page_counts(house: House) -> None:
    for number, fault in ((1, "ok"), (2, "refuse")):
        house.confirm(house.placed(number, quantity=3), number=f"JD{number}")
        house.send(fault)
    told = confirmations()
    for pk, confirmed in told.items():
        placed = Shipment.objects.filter(order_id=pk).first()
        assert placed is not None
        assert confirmed.left == sum(each.quantity for each in shipments.left(placed.order))
    assert sorted(each.left for each in told.values()) == [0, 3]


def test_nothing_is_opened_or_closed_while_orders_are_stale(house: House) -> None:
    house.confirm(house.placed())
    house.send("refuse")
    (ticket,) = house.look(unshipped_order, minutes=1)
    house.shipped()
    later = house.clock() + timedelta(hours=2)
    assert engine.run(unshipped_order, now=later).stale == ["toy-1"]
    ticket.refresh_from_db()
    assert ticket.state == "open"


def test_the_number_of_queries_does_not_grow_with_parcels(house: House) -> None:
    counts, number = [], 0
    for more in (2, 18):
        for _ in range(more):
            number += 1
            house.confirm(house.placed(number), number=f"JD{number}")
            house.send("refuse")
        with CaptureQueriesContext(connection) as queries:
            assert len(seen(house)) == number
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4
