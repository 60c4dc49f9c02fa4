"""Eight real processes against the sandbox that enforces its limits: the budget, the sign-in, and one thing down."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from domventas.core import tenancy
from domventas.core.models import Client
from marketplaces.breaker import Breaker, Gate
from marketplaces.errors import Later
from marketplaces.models import Account, Stream
from marketplaces.port import Priority, Window
from marketplaces.registry import connectors
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.wire.http import Handler, Request, Response
from marketplaces.selectors import budget
from marketplaces.services import door
from marketplaces.services.accounts import create_account, resume
from marketplaces.services.door import open_door
from marketplaces.services.pull import pull_stream
from marketplaces.services.sites import sync_sites
from marketplaces.services.sync import accounts, flows_of
from marketplaces.shared import budget_key
from marketplaces.tests.pressure import in_processes
from marketplaces.tests.test_pull_sandbox import ACCOUNTS

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = Window(since=NOW - timedelta(days=2), until=NOW - timedelta(minutes=5))
RATE = 12.0
#: The rate of `searchOrders` by which a sandbox's speed is chosen [calls per second].
SEARCH = 0.0056
INTERVAL = 0.5


@dataclass
class Outage:
    """Answers 503 for everything under a path while it is switched on; counts what was asked meanwhile."""

    path: str = ""
    asked: list[float] = field(default_factory=list)

    def wrap(self, serve: Handler) -> Handler:
        def answer(request: Request) -> Response:
            if not self.path or not request.path.startswith(self.path):
                return serve(request)
            self.asked.append(time.monotonic())
            return Response(status=503)

        return answer


@pytest.fixture(scope="module")
def outage() -> Outage:
    return Outage()


@pytest.fixture(scope="module")
def running(outage: Outage) -> Iterator[Sandbox]:
    with start(
        seed=5, orders=250, days=60, skus=40, now=NOW, faults="none", speed=RATE / SEARCH, wrappers=[outage.wrap]
    ) as sandbox:
        yield sandbox


@pytest.fixture
def house(
    running: Sandbox, outage: Outage, settings, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Account]]:
    """Three accounts that nobody has ever called, at a sandbox whose limits bite."""
    settings.SANDBOX_URL = running.url
    shared = Breaker(os.environ["REDIS_URL"], interval=INTERVAL)
    monkeypatch.setattr(door, "breaker", lambda: shared)
    monkeypatch.setattr(budget, "breaker", lambda: shared)
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    running.state.buckets.speed = RATE / SEARCH
    with tenancy.acting_for(client, actor="test"):
        for code, channel, ref, sites, secrets in ACCOUNTS:
            create_account(
                channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=NOW,
                cutover_on=(NOW - timedelta(days=20)).date(),
            )  # fmt: skip
        _forget_budgets()
        running.state.buckets.count_anew()
        running.state.buckets.fill()
        running.state.tokens.clear()
        yield {account.code: account for account in accounts()}
    outage.path = ""
    running.state.revoked.clear()


def _forget_budgets() -> None:
    """Other tests had accounts of the same numbers."""
    valkey = redis.Redis.from_url(os.environ["REDIS_URL"])
    for account in accounts():
        for key in valkey.scan_iter(f"*:{budget_key(account)}*"):
            valkey.delete(key)


def calls(sandbox: Sandbox, account: str = "amazon-eu") -> dict[str, Any]:
    with urllib.request.urlopen(f"{sandbox.url}/__sandbox/calls") as answer:
        return json.load(answer)[account]


def tell(sandbox: Sandbox, path: str, **what: str) -> None:
    request = urllib.request.Request(f"{sandbox.url}/__sandbox/{path}", json.dumps(what).encode(), method="POST")
    urllib.request.urlopen(request).close()


# ── the budget ──────────────────────────────────────────────────────────────────────────────────────────────────────
def keep_asking(account: Account, seconds: float, priority: Priority, *, least: int = 0) -> int:
    """Read order pages as fast as the shared budget lets us, so long and so many; returns how many."""
    connector = connectors[account.channel]
    session = connector.open(open_door(account, now=NOW, priority=priority))
    until, pages = time.monotonic() + seconds, 0
    while time.monotonic() < until or pages < least:
        try:
            connector.flows["orders"].fetch(session, WINDOW, "")
            pages += 1
        except Later as error:
            # After a loss the declared rate counts until the marketplace names its own, here a thousand times faster.
            time.sleep(min(error.after.total_seconds(), 1.0))
    return pages


def begun(account: Account, number: int, barrier: Any) -> int:
    """One process spends the burst before all begin: a full bucket loses what comes while first calls are under way."""
    pages = keep_asking(account, 0, Priority.REALTIME, least=24) if number == 0 else 0
    barrier.wait(timeout=30)
    return pages


def measured(sandbox: Sandbox, pages: list[int]) -> dict[str, Any]:
    """Calls over the limit and the used part of the budget, by the sandbox's own clock and count."""
    found = calls(sandbox)["operations"]["searchOrders"]
    speed = sandbox.state.buckets.speed
    granted = found["calls"]
    assert granted == sum(pages)
    return {
        "calls": granted,
        "over": found["over"],
        "over_share": found["over"] / (granted + found["over"]),
        "used": granted / (SEARCH * speed * found["seconds"] + 20),
    }


@pytest.mark.scenario("A1", "Eight workers share one budget at a marketplace that enforces it")
def test_eight_workers_use_the_budget_and_never_overdraw_it(house: dict[str, Account], running: Sandbox, record_fault):
    account = house["amazon-eu"]

    def work(number: int, barrier: Any) -> int:
        return begun(account, number, barrier) + keep_asking(account, 3.0, Priority.REALTIME)

    found = measured(running, in_processes(work))
    record_fault(
        f"8 processes, {found['calls']} calls", calls_over_the_limit=found["over"], budget_used=f"{found['used']:.0%}"
    )
    assert found["over_share"] <= 0.005
    assert found["used"] >= 0.9


@pytest.mark.fault
@pytest.mark.scenario("A15", "Bulk saturates the budget, and Valkey loses everything in the middle")
def test_orders_go_first_bulk_is_not_starved_and_a_flush_starts_no_burst(
    house: dict[str, Account], running: Sandbox, record_fault
):
    account, classes = house["amazon-eu"], [Priority.REALTIME, Priority.REALTIME, Priority.MONEY] + [Priority.BULK] * 5

    def work(number: int, barrier: Any) -> int:
        first = begun(account, number, barrier)
        if number == 0:
            time.sleep(10)
            _forget_budgets()  # what a FLUSHALL does, to these accounts only
        return first + keep_asking(account, 30.0 - 10 * (number == 0), classes[number])

    pages = in_processes(work)
    found = measured(running, pages)
    shares = {kind: sum(n for n, k in zip(pages, classes, strict=True) if k == kind) / sum(pages) for kind in classes}
    (row,) = (each for each in budget.budgets() if (each.account, each.operation) == ("amazon-eu", "orders.search"))
    record_fault(
        f"8 processes in three classes for 30 s, {found['calls']} calls, one loss of Valkey",
        calls_over_the_limit=found["over"], budget_used=f"{found['used']:.0%}",
        wait_of_orders_p95=f"{row.wait_p95_realtime:.2f} s", share_of_bulk=f"{shares[Priority.BULK]:.0%}",
    )  # fmt: skip
    assert found["over_share"] <= 0.005
    assert found["used"] >= 0.9
    assert row.wait_p95_realtime <= 2.0
    assert shares[Priority.BULK] >= 0.08
    assert shares[Priority.REALTIME] >= 0.5


# ── the sign-in ─────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.scenario("A10", "Eight workers meet an expired token at once")
def test_eight_workers_sign_in_once_each_time_the_token_is_gone(
    house: dict[str, Account], running: Sandbox, record_fault
):
    account = house["amazon-eu"]

    def work(number: int, barrier: Any) -> float:
        session = connectors["amazon"].open(open_door(account, now=NOW))
        barrier.wait(timeout=30)
        connectors["amazon"].flows["orders"].fetch(session, WINDOW, "")
        barrier.wait(timeout=30)
        if number == 0:
            tell(running, "tokens", account="amazon-eu", action="expire")
        barrier.wait(timeout=30)
        started = time.monotonic()
        connectors["amazon"].flows["orders"].fetch(session, WINDOW, "")
        return time.monotonic() - started

    waited = max(in_processes(work))
    refreshes = calls(running)["token_refreshes"]
    record_fault(
        "8 processes without a token, then with one that was ended", refreshes=f"{refreshes} for 2 losses",
        longest_call=f"{waited:.1f} s",
    )  # fmt: skip
    assert refreshes == 2


@pytest.mark.scenario("A10", "A consent is revoked under eight workers")
def test_a_revoked_consent_stops_its_account_alone(house: dict[str, Account], running: Sandbox, record_fault):
    tell(running, "tokens", account="amazon-eu", action="revoke")
    states = pull_everything(house)
    by_account = {code: Account.objects.get(code=code) for code in house}
    broken = by_account.pop("amazon-eu")
    refused = calls(running)["sign_ins_refused"]
    record_fault("8 processes, 3 accounts, 1 consent revoked", accounts_stopped=1, sign_ins_refused=refused)
    assert (broken.status, "consent" in broken.status_note) == ("broken", True)
    assert {account.status for account in by_account.values()} == {"active"}
    assert {state for (code, _), state in states.items() if code != "amazon-eu"} <= {"done", "waiting"}
    assert not Stream.objects.filter(account=broken, last_success_at__isnull=False).exists()
    assert refused <= 8
    tell(running, "tokens", account="amazon-eu", action="restore")
    resume(broken)
    assert pull_stream(broken, "orders", now=NOW).state == "done"


def pull_everything(house: dict[str, Account], *, rounds: int = 1, pause: float = 0.0) -> dict[tuple[str, str], str]:
    """Eight processes read all flows of all accounts, each beginning elsewhere; the last word on each flow."""
    tasks = [(code, flow) for code, account in house.items() for flow in flows_of(account)]

    def work(number: int, _: Any) -> list[tuple[tuple[str, str], str]]:
        found = []
        for _round in range(rounds):
            for code, flow in tasks[number:] + tasks[:number]:
                account = Account.objects.get(code=code)
                result = pull_stream(account, flow, now=NOW, sleep=lambda seconds: None)
                if result.state not in ("busy", "off"):
                    found.append(((code, flow), result.state))
            time.sleep(pause)
        return found

    return dict(pair for found in in_processes(work) for pair in found)


# ── one of them down ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.scenario("A14", "One marketplace is down while eight workers read three")
def test_one_marketplace_down_costs_the_others_nothing_and_itself_one_call_per_interval(
    house: dict[str, Account], running: Sandbox, outage: Outage, record_fault
):
    outage.asked.clear()
    outage.path = "/bunnings"
    states = pull_everything(house, rounds=3, pause=0.2)
    others = {key: state for key, state in states.items() if key[0] != "bunnings-au"}
    assert set(others.values()) <= {"done", "waiting"}
    fresh = Stream.objects.filter(account__code__in=["amazon-eu", "amazon-us"], flow__in=["orders", "transactions"])
    assert fresh.filter(complete_until__isnull=False).count() == 4
    (host,) = budget.hosts()
    assert (host.account, host.gate in (Gate.OPEN, Gate.HALF_OPEN)) == ("bunnings-au", True)
    assert host.why == "The marketplace is out of order just now."
    opened = host.since.timestamp() - time.time() + time.monotonic()
    while_open = [moment for moment in outage.asked if moment > opened + 0.05]
    lasted = time.monotonic() - opened
    outage.path = ""
    healed, bunnings = time.monotonic(), house["bunnings-au"]
    while (state := pull_stream(bunnings, "orders", now=NOW).state) != "done":
        assert time.monotonic() < healed + 30, state
        time.sleep(0.02)
    recovery = time.monotonic() - healed
    record_fault(
        "8 processes, 3 marketplaces, one answers 503", calls_before_it_opened=len(outage.asked) - len(while_open),
        calls_while_open=f"{len(while_open)} in {lasted / INTERVAL:.0f} intervals",
        recovery=f"{recovery / INTERVAL:.1f} intervals", others="all read",
    )  # fmt: skip
    assert len(while_open) <= lasted / INTERVAL + 8  # what was under way when it opened
    assert budget.hosts() == []


def test_how_the_budgets_stand_is_read_in_one_query(house: dict[str, Account], django_assert_num_queries):
    open_door(house["amazon-us"], now=NOW)
    pull_stream(house["amazon-eu"], "orders", now=NOW)
    with django_assert_num_queries(1):
        rows = {(row.account, row.operation): row for row in budget.budgets()}
    assert len(rows) == sum(len(connectors[account.channel].limits) for account in house.values())
    used, unused = rows["amazon-eu", "orders.search"], rows["amazon-us", "orders.search"]
    assert used.rate == pytest.approx(RATE, rel=0.01)  # as the marketplace named it
    assert (unused.rate, unused.tokens, unused.wait_p95) == (SEARCH, 19.0, None)
    assert used.wait_p95_realtime == 0.0
    assert budget.hosts() == []
    stream = Stream.objects.get(account=house["amazon-eu"], flow="orders")
    stream.not_before, stream.last_error, stream.last_error_kind = NOW + timedelta(hours=1), "No answer.", "unavailable"
    stream.save()
    (wait,) = budget.waits(now=NOW)
    assert (wait.flow, wait.until, wait.kind, wait.why) == ("orders", stream.not_before, "unavailable", "No answer.")
    assert budget.waits(now=NOW + timedelta(hours=2)) == []
