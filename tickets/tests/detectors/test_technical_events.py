"""Events that do not arrive: messages over HTTP, and the real drain; each trouble opens, is mended, and closes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.core import tenancy
from marketplaces.models import InboundEvent, Inlet, InletRefusal, Stream
from marketplaces.services import event_drain, inbox, inlets, streams
from marketplaces.tests.sending import HEADER, SECRET, hint, message, signature
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue import technical_issue
from tickets.tests.detectors.conftest import House

pytestmark = pytest.mark.db
CHECKS = ("events", "events_failed", "refused")


def seen(now: datetime) -> list[Seen]:
    look = Look(now=now, limits=technical_issue.limits)
    return [item for item in technical_issue.find(look) if item.check in CHECKS]


def levels(now: datetime) -> list[tuple[str, Level]]:
    return [(item.check, item.level) for item in seen(now)]


def closed(house: House) -> bool:
    """Whether an hour without trouble closes everything, and not before."""
    assert all(house.look(technical_issue, minutes=15) for _ in range(3))
    return house.look(technical_issue, minutes=15) == []


def came(house: House, *refs: str) -> None:
    """Events about these orders, whose account's marketplace shows none of them."""
    arrived = [hint(f"e-{ref}", ref, at=house.clock()) for ref in refs]
    assert inbox.accept(house.account, Inlet.Kind.WEBHOOK, arrived, now=house.clock()) == len(refs)


def shows(house: House, *refs: str) -> None:
    """From now on the marketplace shows these orders."""
    house.toy.orders |= {ref: (house.clock(), 1) for ref in refs}


def test_events_nobody_works_on_open_after_half_an_hour_and_close_when_they_are_done(house: House) -> None:
    came(house, "T-1", "T-2")
    assert house.look(technical_issue, minutes=15) == [] and levels(house.clock()) == []
    house.clock.forward(minutes=15)
    assert levels(house.clock()) == [("events", Level.HOLD)]
    (ticket,) = house.look(technical_issue, minutes=1)
    assert ticket.cause == "2 events wait to be worked on, the first since 2026-11-01 13:00 CET."
    assert (ticket.severity, ticket.impact_day) == ("S3", None)
    shows(house, "T-1", "T-2")
    assert event_drain.drain(house.account, now=house.clock()).done == 2
    assert closed(house)


def test_events_of_a_paused_flow_are_left_alone_by_intent(house: House) -> None:
    came(house, "T-1")
    (orders,) = Stream.objects.filter(flow="orders")
    streams.pause([orders])
    assert house.look(technical_issue, minutes=45) == []


def test_failed_events_open_from_three_on_and_close_when_they_were_worked_on_again(house: House) -> None:
    came(house, "T-1", "T-2")
    wear_out(house)
    assert house.look(technical_issue, minutes=1) == [] and levels(house.clock()) == [("events_failed", Level.HOLD)]
    came(house, "T-3")
    wear_out(house)
    (ticket,) = house.look(technical_issue, minutes=1)
    assert ticket.cause == "3 events failed: The marketplace does not show it (yet)."
    assert ticket.findings.get().refs["where_only"]["state__exact"] == "failed"
    inbox.replay(InboundEvent.objects.all(), now=house.clock())
    assert levels(house.clock()) == []
    shows(house, "T-1", "T-2", "T-3")
    assert event_drain.drain(house.account, now=house.clock()).done == 3
    assert closed(house)


def test_an_event_whose_worker_dies_each_time_is_told(house: House) -> None:
    came(house, "T-1")
    for _ in range(event_drain.MOST_ATTEMPTS + 1):
        assert levels(house.clock()) == []
        event_drain._claim(house.account, [], event_drain.Drained(), now=house.clock())
        house.clock.now = InboundEvent.objects.get().not_before
    assert levels(house.clock()) == [("events", Level.OPEN)]


def wear_out(house: House) -> None:
    """Let the drain try until it gives up: the marketplace shows none of them."""
    for _ in range(event_drain.MOST_ATTEMPTS):
        event_drain.drain(house.account, now=house.clock())
        house.clock.forward(minutes=61)


def post(inlet: Inlet, number: int, secret: str) -> int:
    body = message(f"e-{number}", f"T-{number}")
    answer = Browser().post(
        f"/in/{inlet.key}", body, content_type="application/json", headers={HEADER: signature(body, secret)}
    )
    return answer.status_code


def test_a_wrong_secret_opens_with_the_third_message_and_closes_when_it_was_put_right(house: House) -> None:
    house.clock.now = clock()
    inlet = inlets.open_webhook(house.account, secret=SECRET, now=house.clock())
    client = tenancy.current().one
    for number in range(2):
        assert post(inlet, number, "another-secret-of-the-tests") == 401
    assert levels(clock()) == [("refused", Level.HOLD)]
    assert post(inlet, 3, "another-secret-of-the-tests") == 401
    refused = InletRefusal.objects.values_list("count", flat=True)  # one row an hour, and one may begin just now
    assert sum(refused) == 3 and client == house.account.client_id
    (ticket,) = house.look(technical_issue, minutes=1)
    assert ticket.cause == "3 messages were turned away, and none accepted: No active secret made this signature."
    inlets.set_secret(inlet, "another-secret-of-the-tests", now=house.clock())
    assert post(inlet, 4, "another-secret-of-the-tests") == 200
    assert levels(house.clock()) == [("refused", Level.HOLD)], "accepted beside three that were not"
    InboundEvent.objects.all().delete()
    house.clock.forward(hours=2)
    assert closed(house)


def test_many_forgeries_beside_good_messages_are_told_too(house: House) -> None:
    inlet = inlets.open_webhook(house.account, secret=SECRET, now=clock())
    assert post(inlet, 0, SECRET) == 200
    for number in range(10):
        assert levels(clock()) in ([], [("refused", Level.HOLD)])
        post(inlet, number, "a-secret-of-somebody-else")
    assert levels(clock()) == [("refused", Level.OPEN)]
    assert "others accepted" in seen(clock())[0].cause


def test_the_number_of_queries_does_not_grow_with_events_and_addresses(house: House) -> None:
    counts, number, now = [], 0, clock()
    for more in (2, 18):
        for _ in range(more):
            number += 1
            came(house, f"A-{number}", f"B-{number}")
            inlet = inlets.open_webhook(house.account, secret=SECRET, now=now)
            inbox.refuse(inlet, "No active secret made this signature.", now=house.clock() + timedelta(hours=1))
        InboundEvent.objects.filter(ref__startswith="B-").update(state="failed", ended_at=house.clock())
        with CaptureQueriesContext(connection) as queries:
            assert {item.check for item in seen(house.clock() + timedelta(hours=1))} == {
                "events", "events_failed", "refused",
            }  # fmt: skip
        counts.append(len(queries))
    assert counts[0] == counts[1]
