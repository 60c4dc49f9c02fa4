"""A client that was closed is read and told no more; what has to go by law goes all the same."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import declare, firing, relay, runner, sweep
from domventas.core.models import Client, TaskRun
from domventas.tests.filler import make
from orders.models import BuyerContact

pytestmark = pytest.mark.db


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the broker was given: (client, run)."""
    given: list[tuple[int, int]] = []
    task = SimpleNamespace(apply_async=lambda args, **_more: given.append(args))
    for name in ("platform.retention.buyers", "ingest.gap_scan"):
        monkeypatch.setitem(declare.TASKS, name, task)
    return given


def test_buyers_of_a_closed_client_vanish_on_their_day(client_dv: Client, sent: list[tuple[int, int]]) -> None:
    with tenancy.acting_for(client_dv, actor="test"):
        contact = make(BuyerContact, purge_at=clock() - timedelta(days=1), purged_at=None, hold_until=None)
    Client.objects.update(active=False)
    assert firing.fire("platform.retention.buyers", now=clock()) == 1
    assert relay.relay() == 1
    ((client, run),) = sent
    assert runner.execute("platform.retention.buyers", client, run) == "done"
    with tenancy.acting_for(client_dv):
        contact.refresh_from_db()
        assert contact.contact is None and contact.purged_at is not None


def test_nothing_else_is_done_for_a_closed_client(client_dv: Client, sent: list[tuple[int, int]], client2: Any) -> None:
    with tenancy.acting_for(client_dv, actor="test"):
        waiting = firing.enqueue("ingest.gap_scan", now=clock())
    Client.objects.filter(pk=client_dv.pk).update(active=False)
    assert firing.fire("ingest.gap_scan", now=clock()) == 1, "for the other client alone"
    relay.relay()
    assert [client for client, _run in sent] == [client2.pk]
    sweep.sweep(backlog=lambda queues: dict.fromkeys(queues, 0))
    with tenancy.acting_for(client_dv):
        waiting.refresh_from_db()
        assert (TaskRun.objects.get().pk, waiting.state, waiting.note) == (
            waiting.pk, "skipped", "The client is closed.",
        )  # fmt: skip
