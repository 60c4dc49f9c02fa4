"""An order's way from Amazon's queue and from a webhook to its page, while no poll runs; over real HTTP all along."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import firing, runner
from domventas.core.models import Client, Route, TaskRun
from domventas.core.roles import Role
from marketplaces import tasks
from marketplaces.models import Account, InboundEvent, Inlet, RawDocument
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.selectors import events as selectors
from marketplaces.services import asking, event_drain, inbox, inlets, queues
from marketplaces.services.accounts import create_account
from marketplaces.services.pull import pull_stream
from marketplaces.services.reprocess import reprocess
from marketplaces.services.sites import sync_sites
from marketplaces.tests.sandbox.conftest import call
from marketplaces.tests.sending import SECRET
from marketplaces.tests.test_admin import browser
from orders.models import Order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LWA = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
KEYS = {"key_id": "sandbox-queue-key", "secret": "sandbox-queue-secret"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(seed=7, orders=80, days=20, skus=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings, transactional_db: None) -> Iterator[Client]:
    settings.SANDBOX_URL = sandbox.url
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    with tenancy.acting_for(client, actor="test"):
        eu = make(
            "amazon-eu",
            "amazon",
            "A2DOMVENTASEU",
            ["amazon.de", "amazon.fr"],
            LWA | {"refresh_token": "Atzr|sandbox-eu"},
        )
        make(
            "bunnings-au",
            "bunnings",
            "2042",
            ["bunnings.com.au"],
            {"api_key": "sandbox-bunnings-key", "shop_id": "2042"},
        )
        inlets.open_queue(eu, queue_url=f"{sandbox.url}/sqs/000000000000/domventas", now=NOW, **KEYS)
        asking.align(eu, now=NOW)
        TaskRun.objects.all().delete()  # the one that was asked to do so
        yield client


def make(code: str, channel: str, ref: str, sites: list[str], secrets: dict[str, str]) -> Account:
    return create_account(channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=NOW)


def amazon() -> Account:
    return Account.objects.get(code="amazon-eu")


def control(sandbox: Sandbox, **asked: Any) -> dict[str, Any]:
    answer = call(f"{sandbox.url}/__sandbox/events", "POST", body=json.dumps(asked).encode())
    assert answer.status == 200, answer.body
    return answer.data


def refs(sandbox: Sandbox, code: str, count: int) -> list[str]:
    return [order.ref for order in sandbox.state.world.orders[code] if order.created_at <= NOW][-count:]


def empty(account: Account, *, now: datetime = NOW) -> queues.Received:
    """Receive until the queue shows nothing more."""
    total = queues.Received()
    while (part := queues.receive(account, now=now)).messages:
        total += part
    return total


def test_an_order_is_on_its_page_one_drain_after_its_event_while_no_poll_runs(sandbox: Sandbox, house: Client):
    moment = NOW + timedelta(hours=20)
    sandbox.set_clock(moment)
    new = [o for o in sandbox.state.world.orders["amazon-eu"] if NOW < o.created_at <= moment]
    assert new
    assert empty(amazon()).fresh > 0
    runs = TaskRun.objects.filter(task="events.drain.amazon")
    assert runs.count() == 1  # asked for by the first event, and no poll beside it
    run = runs.get()
    assert runner.execute("events.drain.{channel}", run.client_id, run.pk) == "done"
    page = browser(house, Role.OPS).get(f"/c/dom-ventas/orders/amazon-eu/{new[0].ref}/", follow=True)
    assert (page.status_code, new[0].ref in page.content.decode()) == (200, True)
    assert {o.ref for o in new} <= set(Order.objects.values_list("external_id", flat=True))
    assert not TaskRun.objects.exclude(task="events.drain.amazon").exists()
    (count,) = selectors.counts()
    assert (count.waiting, count.failed) == (0, 0)


def test_an_event_a_poll_and_a_rebuild_make_the_same_order(sandbox: Sandbox, house: Client):
    (ref,) = refs(sandbox, "amazon-eu", 1)
    control(sandbox, notify={"account": "amazon-eu", "refs": [ref]})
    empty(amazon())
    event_drain.drain(amazon(), now=NOW)
    assert Order.objects.get().external_id == ref
    before = Order.objects.values().get()
    pull_stream(amazon(), "orders", now=NOW, since=NOW - timedelta(days=25))
    after = Order.objects.values().get(external_id=ref)
    assert {k: v for k, v in after.items() if k != "raw_id"} == {k: v for k, v in before.items() if k != "raw_id"}
    assert reprocess([amazon()], now=NOW, flow="orders").changed == 0
    assert not RawDocument.objects.filter(is_encrypted=False).exists()


def test_doubles_disorder_and_expiry_bring_every_event_once(sandbox: Sandbox, house: Client):
    wanted = refs(sandbox, "amazon-eu", 6)
    control(sandbox, queue={"name": "domventas", "duplicate": 0.5, "shuffle": True, "seed": 5})
    told = control(sandbox, notify={"account": "amazon-eu", "refs": wanted, "times": 3, "shuffle": 9})["sent"]
    first = queues.receive(amazon(), now=NOW)
    control(sandbox, queue={"name": "domventas", "expire": True})
    total = first + empty(amazon())
    assert total.messages > told
    assert total.fresh == InboundEvent.objects.count() == told / 3
    done = event_drain.drain(amazon(), now=NOW)
    assert (done.things, done.done) == (6, told / 3)
    assert set(Order.objects.values_list("external_id", flat=True)) == set(wanted)


def test_who_dies_between_writing_down_and_deleting_gets_it_again_and_knows_it(
    sandbox: Sandbox, house: Client, monkeypatch
):
    control(sandbox, notify={"account": "amazon-eu", "refs": refs(sandbox, "amazon-eu", 1)})
    with monkeypatch.context() as patch:
        patch.setattr(queues, "_delete", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            queues.receive(amazon(), now=NOW)
    stored = InboundEvent.objects.count()
    assert stored > 0
    control(sandbox, queue={"name": "domventas", "expire": True})
    again = empty(amazon())
    assert (again.messages >= stored, again.fresh, InboundEvent.objects.count()) == (True, 0, stored)


def test_who_dies_before_writing_down_loses_nothing(sandbox: Sandbox, house: Client, monkeypatch):
    control(sandbox, notify={"account": "amazon-eu", "refs": refs(sandbox, "amazon-eu", 2)})
    with monkeypatch.context() as patch:
        patch.setattr(inbox, "INSERT", "SELECT 1 / 0")
        with pytest.raises(Exception, match="division"):
            queues.receive(amazon(), now=NOW)
    assert not InboundEvent.objects.exists()
    control(sandbox, queue={"name": "domventas", "expire": True})
    assert empty(amazon()).fresh > 0


def test_a_message_for_nobody_here_is_moved_to_the_dead_queue_and_counted(sandbox: Sandbox, house: Client):
    (ref,) = refs(sandbox, "amazon-eu", 1)
    told = control(sandbox, notify={"account": "amazon-eu", "refs": [ref], "seller": "A9SOMEBODY"})["sent"]
    queue = sandbox.state.queues["domventas"]
    queue.send("no JSON at all")
    done = empty(amazon())
    assert (done.messages, done.fresh, done.dead) == (told + 1, 0, told + 1)
    assert (queue.counts(), sandbox.state.queues["domventas-dead"].counts()) == ((0, 0), (told + 1, 0))


def test_without_a_dead_queue_such_a_message_stays_where_it_is(sandbox: Sandbox, house: Client):
    del sandbox.state.queues["domventas-dead"]
    sandbox.state.queues["domventas"].send("no JSON at all")
    assert queues.receive(amazon(), now=NOW).dead == 1
    assert sandbox.state.queues["domventas"].counts() == (0, 1)


def test_two_clients_may_share_the_platforms_queue_and_each_gets_its_own(sandbox: Sandbox, house: Client, settings):
    settings.EVENT_QUEUE = {"url": f"{sandbox.url}/sqs/000000000000/domventas", **KEYS}
    other = Client.objects.create(slug="other-house", name="Other House")
    with tenancy.acting_for(other):
        us = make("us", "amazon", "A1DOMVENTASUS", ["amazon.com"], LWA | {"refresh_token": "Atzr|sandbox-us"})
        inlets.open_queue(us, now=NOW)
    for code in ("amazon-eu", "amazon-us"):
        control(sandbox, notify={"account": code, "refs": refs(sandbox, code, 2)})
    assert empty(amazon()).dead == 0
    mine = set(InboundEvent.objects.values_list("ref", flat=True))
    with tenancy.acting_for(other):
        theirs = set(InboundEvent.objects.values_list("ref", flat=True))
        assert TaskRun.objects.get(task="events.drain.amazon").account_id == us.pk
    assert (mine, theirs) == (set(refs(sandbox, "amazon-eu", 2)), set(refs(sandbox, "amazon-us", 2)))
    with pytest.raises(inlets.Refused, match="already"):
        inlets.open_queue(amazon(), now=NOW)


def test_a_queue_has_one_reader(sandbox: Sandbox, house: Client):
    url = Inlet.objects.get().queue_url
    with closing(connection.copy()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"queue:{url}"])
        assert queues.receive(amazon(), now=NOW).is_busy
        cursor.execute("SELECT pg_advisory_unlock_all()")
    assert not queues.receive(amazon(), now=NOW).is_busy


def listen(run: TaskRun) -> str:
    outcome = runner.execute("events.receive.{channel}", run.client_id, run.pk)
    run.refresh_from_db()
    return outcome


def test_the_listening_job_is_one_run_for_each_queue_and_tells_what_came(sandbox: Sandbox, house: Client):
    control(sandbox, notify={"account": "amazon-eu", "refs": refs(sandbox, "amazon-eu", 1)})
    assert firing.fire("events.receive.amazon", now=NOW) == 1
    run = TaskRun.objects.get(task="events.receive.amazon")
    assert listen(run) == "done"
    assert run.progress["fresh"] == InboundEvent.objects.count() > 0
    assert KEYS["secret"] not in str(TaskRun.objects.values())


def test_an_empty_queue_holds_no_worker_and_is_looked_at_again_within_its_minute(
    sandbox: Sandbox, house: Client, monkeypatch
):
    firing.fire("events.receive.amazon", now=clock())
    TaskRun.objects.update(slot=clock())  # whatever second of its minute this test is in
    run = TaskRun.objects.get(task="events.receive.amazon")
    empty(amazon())
    begun = time.monotonic()
    assert listen(run) == "queued"
    assert time.monotonic() - begun < 10, "asked once with a short wait: the slot is free again at once"
    assert (run.note, run.errors, run.not_before - clock() <= tasks.LOOKS_AGAIN) == ("looks again", 0, True)
    control(sandbox, notify={"account": "amazon-eu", "refs": refs(sandbox, "amazon-eu", 1)})
    TaskRun.objects.update(not_before=None, slot=clock() - tasks.LISTENING)
    before = InboundEvent.objects.count()
    assert listen(run) == "done", "the next minute's run goes on from here"
    assert run.progress["fresh"] == InboundEvent.objects.count() - before > 0


def test_a_long_queue_makes_room_for_others(sandbox: Sandbox, house: Client, monkeypatch):
    monkeypatch.setattr(tasks, "EMPTYING", timedelta(0))
    control(sandbox, notify={"account": "amazon-eu", "refs": refs(sandbox, "amazon-eu", 1)})
    firing.fire("events.receive.amazon", now=NOW)
    run = TaskRun.objects.get(task="events.receive.amazon")
    assert (listen(run), run.note) == ("queued", "more messages wait")


def test_a_finished_report_wakes_the_look_at_it(sandbox: Sandbox, house: Client):
    pull_stream(amazon(), "offers", now=NOW)
    sandbox.state.timer = lambda: datetime.now(UTC).timestamp() + 3600
    assert empty(amazon()).fresh >= 1
    event_drain.drain(amazon(), now=NOW)
    assert TaskRun.objects.filter(task="ingest.amazon.reports_poll").count() == 1


def test_a_closed_queue_brings_nothing_more(sandbox: Sandbox, house: Client):
    inlets.close(Inlet.objects.get(), now=NOW)
    assert selectors.queues_at("amazon") == []
    assert not Route.objects.exists()
    with pytest.raises(queues.Refused):
        queues.receive(amazon(), now=NOW)


def test_the_sandbox_sends_webhooks_and_an_order_comes_of_the_good_ones_only(
    sandbox: Sandbox, house: Client, live_server
):
    shop = Account.objects.get(code="bunnings-au")
    inlet = inlets.open_webhook(shop, secret=SECRET, now=NOW)
    (ref,) = refs(sandbox, "bunnings-au", 1)
    asked = {"url": f"{live_server.url}/in/{inlet.key}", "secret": SECRET, "refs": [ref]}
    for way in ("forged", "unsigned", "stale", "future", "tampered"):
        assert set(control(sandbox, webhook=asked | {"way": way})["statuses"]) == {401}
    assert set(control(sandbox, webhook=asked | {"way": "oversized"})["statuses"]) <= {413, 0}
    with tenancy.acting_for(house):
        assert not InboundEvent.objects.exists()
    for way in ("signed", "rotating", "replayed"):
        assert set(control(sandbox, webhook=asked | {"way": way})["statuses"]) == {200}
    with tenancy.acting_for(house):
        changes = len(sandbox.state.order("bunnings-au", ref).changes)
        assert InboundEvent.objects.count() <= changes
        done = event_drain.drain(shop, now=clock())
        assert (done.things, done.done) == (1, InboundEvent.objects.count())
        assert Order.objects.get().external_id == ref
