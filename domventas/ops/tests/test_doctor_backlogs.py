"""The doctor names late seals, commands not told in time, and events nobody works on, by client, and only then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.audit import seals
from domventas.core.models import Client, Threshold
from domventas.ops import doctor
from marketplaces.models import Account, Inlet
from marketplaces.services import inbox, inlets, outbox, push_flows
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from marketplaces.tests.parcels import command
from marketplaces.tests.sending import hint

# A transaction under way in any database of the server keeps a seal waiting.
pytestmark = [pytest.mark.alone, pytest.mark.django_db(transaction=True)]
NOW = datetime(2026, 11, 21, tzinfo=UTC)
NAMES = ["audit", "outbox", "events"]


@pytest.fixture
def account() -> Iterator[Account]:
    sync_sites()
    with tenancy.acting_for(Client.objects.create(slug="dom-ventas", name="Dom Ventas"), actor="test"):
        yield create_account(
            channel="amazon", code="amazon-eu", name="Amazon EU", external_id="A2", sites=["amazon.de"], now=NOW,
            secrets={"client_id": "c", "client_secret": "s" * 20, "refresh_token": "r" * 20},
        )  # fmt: skip


def told(now: datetime) -> dict[str, str]:
    """What is wrong, by examination."""
    return {one.name: one.told for one in doctor.examine(now=now, only=NAMES) if not one.ok}


def test_a_healthy_house_is_told_so(account: Account) -> None:
    assert seals.seal(now=clock()) > 0
    assert told(clock() + timedelta(hours=1)) == {}


def test_late_seals_are_named_with_their_client_until_they_are_made(account: Account) -> None:
    later = clock() + timedelta(minutes=16)
    assert set(told(later)) == {"audit"} and "dom-ventas" in told(later)["audit"]
    assert told(clock() + timedelta(minutes=14)) == {}
    seals.seal(now=clock())
    assert told(later) == {}
    Threshold.objects.create(code="limit", value="1.5")
    assert set(told(later)) == {"audit"}


def test_what_was_not_told_in_time_and_what_stopped_by_itself_is_named(account: Account) -> None:
    flow = push_flows.flow_of(account, "shipments", now=NOW)
    push_flows.set_mode(flow, "live", actor="test", now=NOW, why="the test", early=True)
    row = command()
    outbox.put(account, "shipments", row.ref, row, subject="O-1", now=NOW)
    assert told(NOW + timedelta(minutes=30)) == {}
    assert "1 wait since 2026-11-21 00:00" in told(NOW + timedelta(minutes=31))["outbox"]
    push_flows.set_mode(flow, "stopped", actor="outbox", now=NOW, why="The sign-in was refused.")
    assert "has stopped by itself (The sign-in was refused.)" in told(NOW)["outbox"]


def test_events_nobody_works_on_and_queues_nobody_reads_are_named(account: Account, settings: Any) -> None:
    inbox.accept(account, Inlet.Kind.QUEUE, [hint("e-1", "T-1")], now=NOW)
    at = f"{settings.SANDBOX_URL}/sqs/000000000000/q"
    inlets.open_queue(account, queue_url=at, key_id="k", secret="s" * 20, now=NOW)
    assert told(NOW + timedelta(minutes=15)) == {}
    found = told(NOW + timedelta(minutes=31))["events"]
    assert "Amazon EU, 1 events wait" in found and "queue q not read since 2026-11-21 00:00" in found


def test_the_answer_for_machines_keeps_its_shape(account: Account) -> None:
    out = StringIO()
    call_command("doctor", "--json", "--only", *NAMES, stdout=out)
    answer = json.loads(out.getvalue().splitlines()[-1])
    assert answer["ok"] is True and [one["name"] for one in answer["checks"]] == NAMES
    assert all(set(one) == {"name", "ok", "told", "serious"} for one in answer["checks"])
