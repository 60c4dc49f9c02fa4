"""The primary dies in the middle of an import, the standby takes over, and the same processes go on there."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.models import Client, TaskRun
from domventas.tests.faults import jobs
from domventas.tests.faults.pair import Ledger, Pair
from domventas.tests.faults.processes import Processes
from domventas.tests.faults.visitors import PAGES, visitor
from domventas.tests.faults.world import World, furnish
from marketplaces.models import Stream
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.services import schedule
from marketplaces.services.accounts import create_account
from marketplaces.services.sites import sync_sites
from pytest_faults import RecordFault

pytestmark = pytest.mark.xdist_group("servers")
LWA = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
ACCOUNTS = (
    ("amazon-eu", "amazon", "A2DOMVENTASEU", ["amazon.de", "amazon.fr"], LWA | {"refresh_token": "Atzr|sandbox-eu"}),
    ("amazon-us", "amazon", "A1DOMVENTASUS", ["amazon.com"], LWA | {"refresh_token": "Atzr|sandbox-us"}),
    ("bunnings-au", "bunnings", "2042", ["bunnings.com.au"], {"api_key": "sandbox-bunnings-key", "shop_id": "2042"}),
)
ORDERS = """
SELECT a.code, o.external_id, count(*) FROM orders_order o JOIN marketplaces_account a ON a.id = o.account_id
GROUP BY a.code, o.external_id
"""
WRITTEN = "SELECT step, count(*) FROM fault_effect WHERE run_id = 0 GROUP BY step"
#: Readings end a little before the marketplace's present.
LAG = timedelta(minutes=5)
#: Orders that are here when the primary dies: the import has begun and is far from its end.
BEGUN = 150


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Orders to import, ten a page, so that many pages are under way."""
    plan = '{"world": "none", "plan": "calm", "page": 10}'
    now = clock() - timedelta(minutes=10)
    with start(seed=8, orders=1500, days=40, skus=40, now=now, faults=plan, speed=1e6) as running:
        yield running


@pytest.fixture
def pair(
    sandbox: Sandbox, settings: Any, django_test_environment: None, django_db_blocker: Any, tmp_path: Any
) -> Iterator[World]:
    """A world on two database servers, with three accounts at the sandbox."""
    servers = Pair()
    processes = Processes(tmp_path / "processes.log")
    settings.SANDBOX_URL = sandbox.url
    with django_db_blocker.unblock(), servers.running(), servers.pointed():
        os.environ["SANDBOX_URL"] = sandbox.url
        with tenancy.acting_for(furnish(servers), actor="test"):
            sync_sites()
            for code, channel, ref, sites, secrets in ACCOUNTS:
                create_account(
                    channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=clock(),
                )  # fmt: skip
        processes.supervised = True
        try:
            yield World(servers, processes)
        finally:
            processes.close()


def read_all() -> None:
    """Ask for a reading of every account's orders, as the timetable does."""
    with tenancy.acting_for(Client.objects.get(slug="dom-ventas"), actor="test"):
        for stream in Stream.objects.filter(flow="orders").select_related("account"):
            schedule.run_now(stream, now=clock())


def missing(world: World, sandbox: Sandbox) -> set[tuple[str, str]]:
    """Orders the sandbox shows, unchanged for longer than we stay behind its clock, and we do not have."""
    here = {(code, ref) for code, ref, _ in world.sql(ORDERS)}
    now = sandbox.state.clock()
    return {
        (code, order.ref)
        for code, *_ in ACCOUNTS
        for order in sandbox.state.world.orders[code]
        if order.created_at <= now and max(at for at in order.changes if at <= now) <= now - LAG
    } - here


@pytest.mark.fault
@pytest.mark.scenario("B8", "The primary dies in the middle of an import, and its synchronous standby is promoted")
def test_a_standby_that_takes_over_has_every_commit(pair: World, sandbox: Sandbox, record_fault: RecordFault) -> None:
    world, servers = pair, pair.servers
    assert isinstance(servers, Pair)
    world.processes.have(workers=2, beats=1)
    person, ledger = visitor(world), Ledger(os.environ["DATABASE_URL"])
    with person.looking(), ledger.writing():
        runs = world.fire("test.fault.steps", 2)
        read_all()
        world.wait(lambda: len(world.sql(ORDERS)) > BEGUN)
        before, died = len(world.sql(ORDERS)), time.monotonic()
        servers.kill_primary()
        servers.promote()
        promoted = time.monotonic() - died
        world.wait(lambda: len(world.sql(ORDERS)) > before)
        recovery = time.monotonic() - died
        world.settle()
        if missing(world, sandbox):  # a stream that met the outage waits for the timetable's next turn
            read_all()
            world.settle()
    found = world.sql(ORDERS)
    written: dict[int, int] = dict(world.sql(WRITTEN))
    lost_commits = set(ledger.acknowledged) - written.keys()
    lost = len(missing(world, sandbox)) + world.lost(jobs.STEPS, "%steps") + len(lost_commits)
    doubled = sum(count - 1 for *_, count in found) + world.doubled()
    after = [person.ask(page) for page in PAGES]
    record_fault(
        f"`-m immediate` on the primary with {before} of {len(found)} orders imported by 2 workers, {runs} runs beside"
        " them, a page looked at over and over and a row committed every few ms; then pg_promote() on the standby"
        " (synchronous_commit on); nothing was restarted or told a new address",
        lost=lost, doubled=doubled, promoted_after=f"{promoted:.1f} s", recovery=f"{recovery:.1f} s",
        longest_without_a_commit=f"{ledger.longest:.1f} s", commits_acknowledged=len(ledger.acknowledged),
        errors_meanwhile=person.failures(), errors_after=sum(status != 200 for status in after),
        workers_that_ended_by_themselves=world.processes.restarts,
    )  # fmt: skip
    assert (lost, doubled) == (0, 0)
    assert before < len(found) and len(ledger.acknowledged) > 100
    assert world.states("%steps") == {"done": runs}
    assert after == [200] * len(PAGES)
    with tenancy.acting_for(Client.objects.get(slug="dom-ventas")):
        assert not TaskRun.objects.filter(state__in=["failed", "quarantined"]).exists()
