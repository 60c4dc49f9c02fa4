"""Subscriptions at Amazon's sandbox: asked for once, looked after, moved, taken back; refusals stop nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domventas.core import tenancy
from domventas.core.jobs import declare, firing, runner
from domventas.core.models import Client, TaskRun
from domventas.core.roles import Role
from marketplaces.models import Account, Inlet, Subscription
from marketplaces.registry import connectors
from marketplaces.sandbox.faults.plan import named
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.wire.amazon_notifications import Destination
from marketplaces.sandbox.wire.sqs_queue import Queue
from marketplaces.services import asking, inlets, queues
from marketplaces.services.accounts import create_account
from marketplaces.services.pull import pull_stream
from marketplaces.services.sites import sync_sites
from marketplaces.tests.sandbox.conftest import call
from marketplaces.tests.test_admin import browser
from orders.models import Order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LWA = {"client_id": "sandbox-client", "client_secret": "sandbox-secret", "refresh_token": "Atzr|sandbox-eu"}
LATER = NOW + timedelta(hours=1)
KEYS = {"key_id": "sandbox-queue-key", "secret": "sandbox-queue-secret"}
TOPICS = {"ORDER_CHANGE", "REPORT_PROCESSING_FINISHED"}
CREATE, DESTINATION = "createSubscription", "createDestination"
REFUSED = "The marketplace refused the request as we sent it. [destinations.create 400]"
State = Subscription.State


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(seed=7, orders=80, days=20, skus=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings: Any, transactional_db: None) -> Iterator[Client]:
    settings.SANDBOX_URL = sandbox.url
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    with tenancy.acting_for(client, actor="test"):
        create_account(
            channel="amazon", code="amazon-eu", name="Amazon EU", external_id="A2DOMVENTASEU",
            sites=["amazon.de", "amazon.fr"], secrets=LWA, now=NOW,
        )  # fmt: skip
        yield client


def amazon() -> Account:
    return Account.objects.get(code="amazon-eu")


def open_queue(sandbox: Sandbox, name: str = "domventas", now: datetime = NOW) -> Inlet:
    url = f"{sandbox.url}/sqs/000000000000/{name}"
    return inlets.open_queue(amazon(), queue_url=url, now=now, **KEYS)


def calls(sandbox: Sandbox, operation: str) -> int:
    """How often an operation was let through, for the seller or the application."""
    counted = sandbox.state.buckets.counts.operations
    return sum(count.calls for (_, name), count in counted.items() if name == operation)


def standing() -> dict[str, str]:
    return dict(Subscription.objects.values_list("topic", "state"))


def work(task: str = "events.subscribe.amazon") -> None:
    """What a worker does with the runs that are due."""
    for run in TaskRun.objects.filter(task=task, state="queued").order_by("pk"):
        assert runner.execute(declare.rows()[run.task].declared, run.client_id, run.pk) == "done"


def control(sandbox: Sandbox, action: str, kind: str = "ORDER_CHANGE") -> None:
    asked = {"subscription": {"account": "amazon-eu", "kind": kind, "action": action}}
    assert call(f"{sandbox.url}/__sandbox/events", "POST", body=json.dumps(asked).encode()).status == 200


def test_an_inlet_that_opens_is_subscribed_once_and_a_second_run_makes_nothing(sandbox: Sandbox, house: Client):
    open_queue(sandbox)
    assert standing() == dict.fromkeys(TOPICS, State.ASKED)
    work()
    assert standing() == dict.fromkeys(TOPICS, State.SUBSCRIBED)
    assert {kind for _, kind in sandbox.state.subscriptions} == TOPICS
    assert (calls(sandbox, DESTINATION), calls(sandbox, CREATE)) == (1, 2)
    done = asking.align(amazon(), now=NOW + timedelta(days=1))
    assert (done.made, done.kept, done.open) == (0, 2, 0)
    assert (calls(sandbox, DESTINATION), calls(sandbox, CREATE)) == (1, 2)
    row = Subscription.objects.get(topic="ORDER_CHANGE")
    assert row.checked_at == NOW + timedelta(days=1)
    assert row.since is not None and row.note == ""


def test_the_timetable_looks_daily_at_accounts_with_an_inlet(sandbox: Sandbox, house: Client):
    assert firing.fire("events.subscribe.amazon", now=NOW) == 0
    open_queue(sandbox)
    TaskRun.objects.all().delete()
    assert firing.fire("events.subscribe.amazon", now=NOW + timedelta(days=1)) == 1
    work()
    assert standing() == dict.fromkeys(TOPICS, State.SUBSCRIBED)


def test_an_order_is_on_its_page_one_drain_after_an_account_was_just_subscribed(sandbox: Sandbox, house: Client):
    sandbox.set_clock(NOW + timedelta(hours=4))  # before anybody asked, nothing is told
    open_queue(sandbox)
    assert queues.receive(amazon(), now=NOW).messages == 0
    work()
    moment = NOW + timedelta(hours=20)
    sandbox.set_clock(moment)
    new = [o for o in sandbox.state.world.orders["amazon-eu"] if NOW + timedelta(hours=4) < o.created_at <= moment]
    assert new
    while queues.receive(amazon(), now=NOW).messages:
        pass
    work("events.drain.amazon")
    assert {o.ref for o in new} <= set(Order.objects.values_list("external_id", flat=True))
    page = browser(house, Role.OPS).get(f"/c/dom-ventas/orders/amazon-eu/{new[0].ref}/", follow=True)
    assert (page.status_code, new[0].ref in page.content.decode()) == (200, True)
    assert set(TaskRun.objects.values_list("task", flat=True)) == {"events.subscribe.amazon", "events.drain.amazon"}


def test_a_lost_answer_to_a_subscription_leaves_one(sandbox: Sandbox, house: Client, monkeypatch: Any):
    open_queue(sandbox)
    given = asking.asking_of("amazon")
    assert given is not None

    def lost(session: Any, topic: str, target: str) -> Any:
        sandbox.injector.use(named({"kinds": ["lost_answer"], "rate": 1.0, "most": 1}))
        try:
            return given.create(session, topic, target)
        finally:
            sandbox.injector.use(named("calm"))

    swap(monkeypatch, create=lost)
    done = asking.align(amazon(), now=NOW)
    assert (done.made, done.retry_after, calls(sandbox, CREATE)) == (2, None, 2)
    assert standing() == dict.fromkeys(TOPICS, State.SUBSCRIBED)
    assert {row.ref for row in Subscription.objects.all()} == {one.ref for one in sandbox.state.subscriptions.values()}


def test_a_conflict_is_as_good_as_a_yes(sandbox: Sandbox, house: Client, monkeypatch: Any):
    """Somebody else made it between our look and our asking."""
    open_queue(sandbox)
    given = asking.asking_of("amazon")
    assert given is not None

    def twice(session: Any, topic: str, target: str) -> Any:
        given.create(session, topic, target)
        return given.create(session, topic, target)

    swap(monkeypatch, create=twice)
    assert asking.align(amazon(), now=NOW).open == 0
    assert standing() == dict.fromkeys(TOPICS, State.SUBSCRIBED)


def swap(monkeypatch: Any, **calls: Any) -> None:
    """The connector with other calls in place of its own."""
    known = connectors["amazon"]
    assert known.events is not None and known.events.asking is not None
    events = replace(known.events, asking=replace(known.events.asking, **calls))
    monkeypatch.setitem(connectors, "amazon", replace(known, events=events))


def test_what_was_removed_at_amazon_is_made_again_and_told(sandbox: Sandbox, house: Client):
    open_queue(sandbox)
    work()
    control(sandbox, "remove")
    later = NOW + timedelta(days=1)
    done = asking.align(amazon(), now=later)
    assert (done.made, done.kept) == (1, 1)
    row = Subscription.objects.get(topic="ORDER_CHANGE")
    assert (row.state, row.since, row.note) == (
        State.SUBSCRIBED, later, "Was gone at the marketplace, and was asked for again.",
    )  # fmt: skip
    asking.align(amazon(), now=later + timedelta(days=1))
    row.refresh_from_db()
    assert row.note, "told until something changes"


def test_a_missing_right_is_told_in_words_and_concerns_its_topic_alone(sandbox: Sandbox, house: Client):
    control(sandbox, "deny")
    open_queue(sandbox)
    work()
    row = Subscription.objects.get(topic="ORDER_CHANGE")
    assert row.state == State.REFUSED and "lacks a role that ORDER_CHANGE needs" in row.note
    assert standing()["REPORT_PROCESSING_FINISHED"] == State.SUBSCRIBED
    account = amazon()
    assert (account.status, account.status_note) == (Account.Status.ACTIVE, "")
    pull_stream(account, "orders", now=NOW, since=NOW - timedelta(days=5))
    assert Order.objects.exists(), "the polls go on"
    control(sandbox, "allow")
    asking.align(amazon(), now=NOW)
    assert standing() == dict.fromkeys(TOPICS, State.SUBSCRIBED)


def test_an_outage_is_tried_again_before_tomorrow(sandbox: Sandbox, house: Client, settings: Any):
    open_queue(sandbox)
    settings.SANDBOX_URL = "http://127.0.0.1:9"  # nobody is there
    done = asking.align(amazon(), now=NOW)
    assert (done.open, done.retry_after) == (2, asking.AGAIN)
    assert standing() == dict.fromkeys(TOPICS, State.FAILED)
    settings.SANDBOX_URL = sandbox.url
    assert asking.align(amazon(), now=NOW + asking.AGAIN).open == 0
    assert amazon().status == Account.Status.ACTIVE


def test_a_queue_amazon_may_not_send_to_is_refused_once_for_all_topics(sandbox: Sandbox, house: Client):
    open_queue(sandbox, "elsewhere")
    done = asking.align(amazon(), now=NOW)
    assert (done.open, done.retry_after, calls(sandbox, CREATE)) == (2, None, 0)
    assert {row.note for row in Subscription.objects.all()} == {REFUSED}


def test_what_delivers_elsewhere_is_moved_only_when_a_person_says_so(sandbox: Sandbox, house: Client):
    open_queue(sandbox)
    work()
    theirs = Destination(ref="d-1", region="eu", name="theirs", arn="arn:aws:sqs:eu-west-1:1:theirs")
    key = ("amazon-eu", "ORDER_CHANGE")
    sandbox.state.subscriptions[key] = replace(sandbox.state.subscriptions[key], destination=theirs)
    asking.align(amazon(), now=NOW)
    row = Subscription.objects.get(topic="ORDER_CHANGE")
    assert row.state == State.ELSEWHERE and "Subscribe moves it here" in row.note and row.since is None
    asking.align(amazon(), now=NOW)
    assert sandbox.state.subscriptions[key].destination == theirs, "nobody said so"
    asking.ask(amazon(), now=LATER, move=True)
    work()
    assert sandbox.state.subscriptions[key].destination.queue == "domventas"
    row.refresh_from_db()
    assert row.state == State.SUBSCRIBED and row.asked_at is None


def test_a_queue_that_is_replaced_takes_its_subscriptions_along(sandbox: Sandbox, house: Client):
    sandbox.state.queues["second"] = Queue(name="second")
    first = open_queue(sandbox)
    work()
    open_queue(sandbox, "second", LATER)
    inlets.close(first, now=LATER)
    work()
    assert {one.destination.queue for one in sandbox.state.subscriptions.values()} == {"second"}


def test_a_closed_inlet_is_unsubscribed(sandbox: Sandbox, house: Client):
    inlet = open_queue(sandbox)
    work()
    inlets.close(inlet, now=LATER)
    work()
    assert not sandbox.state.subscriptions and not Subscription.objects.exists()
    assert firing.fire("events.subscribe.amazon", now=NOW) == 0
    with pytest.raises(asking.Refused, match="no inlet"):
        asking.ask(amazon(), now=NOW, move=True)
