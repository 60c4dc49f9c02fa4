"""What should have been told by now: each trouble is made at a marketplace over HTTP, opens, is mended, and closes."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplaces.models import OutboxCommand
from marketplaces.services import outbox, push_flows
from marketplaces.services.outbox_drain import drain
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue import technical_issue
from tickets.tests.detectors.conftest import House, another

pytestmark = pytest.mark.db
#: Of the toy marketplace's, whose promise is the usual one.
CHECKS = ("unsent", "unknown", "given_up", "stopped")


def seen(house: House) -> list[Seen]:
    look = Look(now=house.clock(), limits=technical_issue.limits)
    return [item for item in technical_issue.find(look) if item.check in CHECKS]


def checks(house: House) -> list[tuple[str, Level]]:
    return [(item.check, item.level) for item in seen(house)]


def closed(house: House) -> bool:
    """Whether an hour without trouble closes everything, and not before."""
    assert all(house.look(technical_issue, minutes=15) for _ in range(3))
    return house.look(technical_issue, minutes=15) == []


def live(house: House) -> None:
    flow = push_flows.flow_of(house.account, "shipments", now=house.clock())
    push_flows.set_mode(flow, "live", actor="ines@example.com", now=house.clock(), why="for this test", early=True)


def test_where_parcels_are_told_nothing_is_found(house: House) -> None:
    house.confirm(house.placed())
    assert house.look(technical_issue, minutes=1) == []
    house.send()
    assert house.look(technical_issue, minutes=90) == []
    house.confirm(house.placed(2), number="JD2")
    house.send("refuse")  # that is an order's trouble
    assert house.look(technical_issue, minutes=90) == []


def test_what_waits_longer_than_promised_opens_and_closes_when_it_went_out(house: House) -> None:
    push_flows.stop_everything(actor="ines@example.com", now=house.clock(), why="wrong prices")
    house.confirm(house.placed())
    assert house.look(technical_issue, minutes=15) == [] and checks(house) == []
    assert house.look(technical_issue, minutes=15) == [] and checks(house) == [("unsent", Level.HOLD)]
    (ticket,) = house.look(technical_issue, minutes=1)
    assert ticket.cause == "1 wait to be told, the oldest for 31 minutes. All pushes are stopped. wrong prices"
    assert (ticket.severity, ticket.impact_day) == ("S1", None)
    assert ticket.findings.get().refs["where"] == "pushes"
    push_flows.allow_again(actor="ines@example.com", now=house.clock())
    house.send()
    assert closed(house)


def test_a_throttled_marketplaces_words_stand_in_the_ticket(house: House) -> None:
    house.confirm(house.placed())
    for _ in range(4):
        house.send("429")
        house.clock.forward(minutes=8)
    (ticket,) = house.look(technical_issue, minutes=0)
    assert "1 wait to be told" in ticket.cause and len(ticket.cause) > 60


def test_an_outcome_nobody_finds_out_opens_after_an_hour_and_closes_when_it_is_found(house: House) -> None:
    house.confirm(house.placed())
    house.parcels.down = True
    house.send("after")
    assert house.look(technical_issue, minutes=60) == []
    house.send()
    (ticket,) = house.look(technical_issue, minutes=1)
    assert (ticket.severity, ticket.cause[:33]) == ("S2", "Of 1 nobody knows whether they ar")
    assert ticket.findings.get().refs["where_only"]["state__exact"] == "unknown"
    house.parcels.down = False
    house.clock.forward(minutes=31)
    house.send()
    assert closed(house)


def test_what_was_given_up_opens_until_it_is_told_after_all(house: House) -> None:
    house.confirm(house.placed())
    outbox.give_up(OutboxCommand.objects.all(), actor="ines@example.com", now=house.clock())
    (ticket,) = house.look(technical_issue, minutes=1)
    assert ticket.cause == "Telling of 1 parcels was given up. Given up by ines@example.com."
    house.shipped()
    assert closed(house)


def test_a_refused_sign_in_stops_the_flow_and_is_told_until_it_is_live_again(house: House) -> None:
    house.confirm(house.placed())
    house.send("401")
    (ticket,) = house.look(technical_issue, minutes=1)
    assert ticket.cause.startswith("Nothing leaves any more: ")
    live(house)
    house.clock.forward(minutes=5)
    house.send()
    assert OutboxCommand.objects.get().state == "accepted"
    assert closed(house)


def test_what_a_person_stopped_is_no_trouble_while_nothing_waits(house: House) -> None:
    flow = push_flows.flow_of(house.account, "shipments", now=house.clock())
    push_flows.set_mode(flow, "stopped", actor="ines@example.com", now=house.clock(), why="moving")
    assert house.look(technical_issue, minutes=90) == []
    house.confirm(house.placed())
    (ticket,) = house.look(technical_issue, minutes=31)
    assert "The flow is stopped. moving" in ticket.cause


def test_the_number_of_queries_does_not_grow_with_commands_and_accounts(house: House) -> None:
    counts, number = [], 0
    for more in (2, 18):
        for _ in range(more):
            number += 1
            house.account = another(f"toy-{number + 1}", now=house.clock())
            for fault in ("after", "give up", "wait"):
                placed = house.placed(f"{fault}{number}")
                house.confirm(placed, number=f"{fault}{number}")
                if fault == "give up":
                    outbox.give_up(OutboxCommand.objects.filter(state="waiting"), actor="x", now=house.clock())
                if fault == "after":
                    drain(house.account, "shipments", clock=house.clock)
                    OutboxCommand.objects.filter(state="accepted").update(state="unknown")
        house.clock.forward(hours=2)
        with CaptureQueriesContext(connection) as queries:
            found = seen(house)
        assert len({item.account_id for item in found}) == number
        counts.append(len(queries))
    assert counts[0] == counts[1]
