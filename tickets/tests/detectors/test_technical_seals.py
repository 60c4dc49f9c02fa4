"""An audit that nobody seals has a ticket until it is sealed. The audit goes by the database's own clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.core.audit import seals
from domventas.core.models import Client, Threshold
from domventas.core.tenancy import acting_for
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue import house, technical_issue
from tickets.models import Ticket
from tickets.services import engine

# A transaction under way in any database of the server keeps a seal waiting.
pytestmark = [pytest.mark.alone, pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    with acting_for(client, actor="ines@example.com"):
        yield client


def seen(minutes: int) -> list[Seen]:
    return list(house.seals(Look(now=clock() + timedelta(minutes=minutes), limits=technical_issue.limits)))


def test_changes_nobody_seals_open_after_a_quarter_of_an_hour_and_close_when_they_are(client: Client) -> None:
    assert seen(60) == []
    Threshold.objects.create(code="limit", value="1.5")
    assert seen(7) == []
    assert [item.level for item in seen(8)] == [Level.HOLD]
    engine.run(technical_issue, now=clock() + timedelta(minutes=16))
    (ticket,) = Ticket.objects.all()
    assert ticket.cause.startswith("1 changes are in no seal") and ticket.severity == "S2"
    assert ticket.findings.get().refs["where_only"] == {"task": "platform.audit.seal"}
    assert seals.seal(now=clock()) == 1
    for quarter in range(2, 6):
        ticket.refresh_from_db()
        assert ticket.state == "open"
        engine.run(technical_issue, now=clock() + timedelta(minutes=15 * quarter))
    ticket.refresh_from_db()
    assert (ticket.state, ticket.resolution) == ("resolved", "gone")


def test_the_number_of_queries_does_not_grow_with_changes(client: Client) -> None:
    counts = []
    for more in (2, 18):
        for number in range(more):
            Threshold.objects.create(code=f"limit-{more}-{number}", value="1.5")
        with CaptureQueriesContext(connection) as queries:
            assert len(seen(16)) == 1
        counts.append(len(queries))
    assert counts == [2, 2]
