"""A right that is missing stops its own flow, in words, and nothing else; once it is granted the flow goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser

from domventas.core import tenancy
from domventas.core.jobs import runner
from domventas.core.models import Client, TaskRun
from domventas.core.roles import Role
from marketplaces.errors import Forbidden
from marketplaces.events import Arrived
from marketplaces.models import Account, InboundEvent, OutboxCommand, PushFlow, Stream
from marketplaces.registry import connectors
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.selectors import monitor
from marketplaces.selectors import outbox as selector
from marketplaces.services import event_drain, inbox, inlets, outbox, push_flows, schedule
from marketplaces.services.accounts import create_account
from marketplaces.services.outbox_drain import drain
from marketplaces.services.pull import pull_stream
from marketplaces.services.sites import sync_sites
from marketplaces.tests.conftest import toy_account
from marketplaces.tests.parcels import PUSH, Clock, Parcels, command, serving
from marketplaces.tests.sandbox.conftest import call
from marketplaces.tests.sending import SECRET, message
from marketplaces.tests.support import NOW as TOY_NOW
from marketplaces.tests.support import Toy
from marketplaces.tests.test_admin import browser
from marketplaces.tests.test_pull_sandbox import ACCOUNTS, NOW

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=5, orders=60, days=20, skus=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings: Any, transactional_db: None) -> Iterator[Client]:
    settings.SANDBOX_URL = sandbox.url
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    with tenancy.acting_for(client, actor="test"):
        for code, channel, ref, sites, secrets in ACCOUNTS:
            create_account(
                channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=NOW,
                cutover_on=(NOW - timedelta(days=25)).date(),
            )  # fmt: skip
        yield client


def right(sandbox: Sandbox, path: str, *, granted: bool) -> None:
    told = json.dumps({"path": path, "granted": granted}).encode()
    assert call(f"{sandbox.url}/__sandbox/rights", "POST", body=told).status == 200


def pull(code: str, flow: str, **how: Any) -> Any:
    return pull_stream(Account.objects.get(code=code), flow, sleep=lambda seconds: None, **({"now": NOW} | how))


def stream_of(code: str, flow: str) -> Stream:
    return Stream.objects.select_related("account").get(account__code=code, flow=flow)


#: What is taken away, whose flow stops, the words for it, and a flow that goes on.
DENIED = (
    ("/amazon/eu/finances/", "amazon-eu", "transactions", "to read finances", "Finance and Accounting", "orders"),
    ("/amazon/eu/reports/", "amazon-eu", "settlements", "to read settlements", "Finance and Accounting", "orders"),
    ("/otto/v5/products", "otto-de", "offers", "to read offers", "scopes products", "orders"),
    ("/sellerpayment/", "bunnings-au", "transactions", "to read finances", "Bunnings", "orders"),
)


@pytest.mark.parametrize(("path", "code", "flow", "doing", "named", "other"), DENIED, ids=lambda value: str(value))
def test_a_missing_right_stops_its_flow_alone_and_it_goes_on_when_granted(
    sandbox: Sandbox,
    house: Client,
    path: str,
    code: str,
    flow: str,
    doing: str,
    named: str,
    other: str,
) -> None:
    right(sandbox, path, granted=False)
    try:
        refused = pull(code, flow)
        assert (refused.state, refused.error_kind, refused.retry_after) == ("failed", "forbidden", HOUR)
        assert doing in refused.error and named in refused.error and "403" in refused.error
        assert Account.objects.get(code=code).status == "active"
        assert pull(code, other).state in ("done", "waiting")
        (row,) = [row for row in monitor.rows(now=NOW) if (row.account, row.flow) == (code, flow)]
        assert (row.health, doing in row.last_error) == (monitor.Health.FORBIDDEN, True)
        assert pull(code, flow, due_only=True, now=NOW + HOUR - timedelta(seconds=1)).state == "held"
        assert pull(code, flow, due_only=True, now=NOW + HOUR).state == "failed", "tried again by itself"
    finally:
        right(sandbox, path, granted=True)
    assert pull(code, flow, due_only=True).state == "held"
    schedule.run_now(stream_of(code, flow), now=NOW)
    assert pull(code, flow, due_only=True).state in ("done", "waiting")
    stream = stream_of(code, flow)
    assert stream.last_error_kind == "" or stream.not_before is None


def test_run_now_reads_as_soon_as_the_right_is_there(sandbox: Sandbox, house: Client) -> None:
    right(sandbox, "/amazon/eu/finances/", granted=False)
    pull("amazon-eu", "transactions")
    right(sandbox, "/amazon/eu/finances/", granted=True)
    run = schedule.run_now(stream_of("amazon-eu", "transactions"), now=NOW)
    assert runner.execute("finance.transactions.{channel}", run.client_id, run.pk) == "done"
    assert stream_of("amazon-eu", "transactions").failures == 0


class Forgetful(dict[str, Any]):
    """Tokens are given and not known any more when they are used."""

    def __setitem__(self, name: str, value: Any) -> None:
        pass


def test_a_token_that_is_refused_stops_the_account_though_amazon_says_403_to_that_too(
    sandbox: Sandbox,
    house: Client,
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(sandbox.state, "tokens", Forgetful())
    assert pull("amazon-eu", "orders").error_kind == "unauthorized"
    assert Account.objects.get(code="amazon-eu").status == "broken"


def test_the_monitor_says_which_right_is_missing(
    sandbox: Sandbox,
    house: Client,
    client_staff: Browser,
) -> None:
    right(sandbox, "/amazon/eu/finances/", granted=False)
    pull("amazon-eu", "transactions")
    right(sandbox, "/amazon/eu/finances/", granted=True)
    shown = client_staff.get("/c/dom-ventas/system/monitor/").content.decode()
    assert "right missing" in shown and "lacks the right to read finances" in shown
    assert {row.health for row in monitor.rows(now=NOW)} == {monitor.Health.FORBIDDEN, monitor.Health.NEVER}


@pytest.fixture
def client_staff(house: Client) -> Browser:
    return browser(house, Role.ADMIN)


# ── pushes and events ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def parcels(toy: Toy, settings: Any) -> Iterator[Parcels]:
    connectors["toy"] = replace(connectors["toy"], shipments=PUSH)
    with serving(Parcels()) as running:
        settings.SANDBOX_URL = running.url
        yield running


def test_commands_wait_for_the_right_and_leave_by_themselves_or_when_somebody_says_so(parcels: Parcels) -> None:
    clock, account = Clock(), toy_account("toy-1")
    flow = push_flows.flow_of(account, "shipments", now=clock())
    push_flows.set_mode(flow, "live", actor="test", now=clock(), why="for this test", early=True)
    for number in (1, 2):
        told = command(number)
        outbox.put(account, "shipments", told.ref, told, subject=told.order_ref, order_key=told.order_ref, now=clock())
    parcels.faults = ["403"] * 2
    done = drain(account, "shipments", clock=clock)
    assert (done.state, done.retry_after, "to confirm shipments" in done.note) == ("waiting", HOUR, True)
    assert [x.attempts for x in OutboxCommand.objects.filter(state="waiting")] == [0, 0]
    assert (PushFlow.objects.get().mode, Account.objects.get().status) == ("live", "active")
    clock.forward(minutes=59)
    drain(account, "shipments", clock=clock)
    assert len(parcels.asked) == 1, "one call an hour"
    assert [row.waits_because for row in selector.flows()] == [done.note]
    clock.forward(minutes=1)
    assert drain(account, "shipments", clock=clock).state == "waiting"
    assert outbox.try_now(flow, now=clock()) == 2
    assert TaskRun.objects.filter(task="shipments.push.toy", state="queued").exists()
    assert drain(account, "shipments", clock=clock).accepted == 2
    assert parcels.took == {"O-1": 1, "O-2": 1}
    flow.refresh_from_db()
    push_flows.set_mode(flow, "stopped", actor="test", now=clock())
    with pytest.raises(outbox.Refused, match="live"):
        outbox.try_now(flow, now=clock())


def test_an_event_whose_thing_we_may_not_fetch_waits_and_stops_no_account(toy: Toy, account: Account) -> None:
    def refuse(refs: Any) -> None:
        raise Forbidden("No right.", "orders.get", status=403)

    toy.before_one = refuse
    inlet = inlets.open_webhook(account, secret=SECRET, now=TOY_NOW)
    events = connectors["toy"].events
    assert events is not None
    arrived = Arrived(body=message("e-1", "T-001"))
    inbox.accept(account, inlet.kind, [(arrived, inbox.hints_of(events, arrived))], now=TOY_NOW)
    done = event_drain.drain(account, now=TOY_NOW)
    event = InboundEvent.objects.get()
    assert (done.later, event.state, event.attempts, event.not_before) == (1, "waiting", 0, TOY_NOW + HOUR)
    assert "to read orders" in event.note
    account.refresh_from_db()
    assert account.status == "active"
    assert tenancy.current().one == account.client_id
