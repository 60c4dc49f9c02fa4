"""A queue nobody reads, or that brings more than is taken: over the real job and the sandbox's queue, until mended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import firing, runner
from domventas.core.models import Client, TaskRun
from marketplaces.models import Account, Inlet, Stream
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.services import inlets
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from tickets.detector import Level, Look
from tickets.detectors.technical_issue import technical_issue
from tickets.models import Ticket
from tickets.services import engine

KEYS = {"key_id": "sandbox-queue-key", "secret": "sandbox-queue-secret"}
LWA = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "refresh_token": "Atzr|sandbox-eu"}
NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(seed=7, orders=20, days=10, skus=10, now=NOW, faults="none") as running:
        yield running


@pytest.fixture
def queued(sandbox: Sandbox, settings: Any, transactional_db: None) -> Iterator[Inlet]:
    """An Amazon account with a queue that was opened an hour ago."""
    settings.SANDBOX_URL = sandbox.url
    sync_sites()
    with tenancy.acting_for(Client.objects.create(slug="dom-ventas", name="Dom Ventas"), actor="test"):
        account = create_account(
            channel="amazon", code="amazon-eu", name="Amazon EU", external_id="A2DOMVENTASEU", sites=["amazon.de"],
            secrets=LWA, now=clock(),
        )  # fmt: skip
        url = f"{sandbox.url}/sqs/000000000000/domventas"
        yield inlets.open_queue(account, queue_url=url, now=clock() - timedelta(hours=1), **KEYS)


def levels(now: datetime) -> list[tuple[str, Level]]:
    found = technical_issue.find(Look(now=now, limits=technical_issue.limits))
    return [(item.check, item.level) for item in found if item.check == "queue"]


def listened() -> str:
    """What a run of the listening job ends with; its minute is over."""
    firing.fire("events.receive.amazon", now=clock() - timedelta(minutes=50 - TaskRun.objects.count()))
    run = TaskRun.objects.filter(task="events.receive.amazon").order_by("-pk")[0]
    return runner.execute("events.receive.{channel}", run.client_id or 0, run.pk)


def tickets(at: datetime) -> list[Ticket]:
    """What is open after the detector's run."""
    Stream.objects.update(complete_until=at, last_success_at=at)
    engine.run(technical_issue, now=at)
    return list(Ticket.objects.exclude(state="resolved"))


def closes() -> bool:
    """Whether the fourth run without trouble closes the ticket, and none before."""
    return [len(tickets(clock() + timedelta(minutes=n))) for n in range(1, 5)] == [1, 1, 1, 0]


def test_a_queue_whose_keys_are_refused_is_told_and_closes_when_it_is_read(queued: Inlet) -> None:
    account = Account.objects.get()
    inlets.set_secret(queued, "wrong-secret-of-the-queue", now=clock() - timedelta(minutes=30))
    assert listened() == "queued", "it tries again"
    (ticket,) = tickets(clock())
    assert ticket.cause.startswith("Queue domventas was not read since") and ticket.account_id == account.pk
    assert "SignatureDoesNotMatch" in ticket.cause
    inlets.set_secret(queued, KEYS["secret"], now=clock() - timedelta(minutes=30))
    assert listened() == "done"
    assert closes()


def test_a_queue_that_brings_more_than_is_taken_is_told_until_it_is_empty(
    queued: Inlet, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = sandbox.state.queues["domventas"]
    for number in range(40):
        queue.send(f"no JSON {number}")
    with monkeypatch.context() as patch:
        patch.setattr("marketplaces.tasks.EMPTYING", timedelta(microseconds=500))
        assert listened() == "queued", "more messages wait"
    assert levels(clock() - timedelta(minutes=54)) == []
    assert levels(clock() - timedelta(minutes=46)) == [("queue", Level.HOLD)]
    (ticket,) = tickets(clock())
    assert ticket.cause.startswith("Queue domventas is read, and was not empty since")
    assert listened() == "done" and queue.counts()[0] == 0
    assert closes()
