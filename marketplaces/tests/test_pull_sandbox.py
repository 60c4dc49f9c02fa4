"""Every flow of every account against the sandbox: what it brings, what it never repeats, what stays apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest

from catalog.models import Listing
from domventas.core import tenancy
from domventas.core.jobs import declare, runner
from domventas.core.models import Client
from finance.models import Settlement, SettlementLine, Transaction
from marketplaces.models import Account, RawDocument, ReportJob, Stream, SyncWindow
from marketplaces.port import Door
from marketplaces.registry import connectors
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.selectors import monitor
from marketplaces.services import schedule
from marketplaces.services.accounts import create_account, set_secrets
from marketplaces.services.accounts import test_connection as try_connection
from marketplaces.services.pull import pull_stream
from marketplaces.services.reprocess import reprocess
from marketplaces.services.sites import sync_sites
from marketplaces.services.sync import Synced, accounts, sync
from orders.models import Order

NOW = datetime(2026, 11, 1, tzinfo=UTC)
LWA = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}

ACCOUNTS = (
    ("amazon-eu", "amazon", "A2DOMVENTASEU", ["amazon.de", "amazon.fr"], LWA | {"refresh_token": "Atzr|sandbox-eu"}),
    ("amazon-us", "amazon", "A1DOMVENTASUS", ["amazon.com"], LWA | {"refresh_token": "Atzr|sandbox-us"}),
    ("bunnings-au", "bunnings", "2042", ["bunnings.com.au"], {"api_key": "sandbox-bunnings-key", "shop_id": "2042"}),
    (
        "otto-de",
        "otto",
        "1000871",
        ["otto.de"],
        {"client_id": "sandbox-otto-app", "client_secret": "sandbox-otto-secret"},
    ),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=5, orders=250, days=60, skus=40, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings, transactional_db: None) -> Iterator[list[Account]]:
    settings.SANDBOX_URL = sandbox.url
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    sync_sites()
    first = (NOW - timedelta(days=70)).date()
    with tenancy.acting_for(client, actor="test"):
        for code, channel, ref, sites, secrets in ACCOUNTS:
            create_account(
                channel=channel, code=code, name=code, external_id=ref, sites=sites, secrets=secrets, now=NOW,
                cutover_on=first,
            )  # fmt: skip
        yield accounts()


def run(house: list[Account], **how) -> dict[tuple[str, str], Synced]:
    return {(x.pulled.account, x.pulled.flow): x for x in sync(house, now=NOW, **how)}


def test_every_flow_of_every_account_is_read_and_the_second_time_writes_nothing(house: list[Account]):
    for account in house:
        assert try_connection(account, now=NOW).ok
    done = run(house)
    problems = {key: x.pulled.error for key, x in done.items() if x.pulled.state != "done"}
    assert problems == {}
    assert {account for account, _ in done} == {"amazon-eu", "amazon-us", "bunnings-au", "otto-de"}
    for model, count in ((Order, 4), (Listing, 4), (Settlement, 3), (Transaction, 3)):
        assert model.objects.values("account").distinct().count() == count, model
    assert SettlementLine.objects.count() > 500
    assert not SyncWindow.objects.exclude(status="done").exists()
    assert not ReportJob.objects.exclude(status="done").exists()
    assert {row.health for row in monitor.rows(now=NOW)} == {"fresh"}
    again = run(house, since=NOW - timedelta(days=30))
    assert {key: x.pulled.tally.written for key, x in again.items() if x.pulled.tally.written} == {}
    assert reprocess(house, now=NOW).changed == 0


def test_one_account_refused_leaves_the_others_alone(house: list[Account]):
    broken = next(account for account in house if account.code == "amazon-eu")
    set_secrets(broken, LWA | {"refresh_token": "Atzr|forgotten"}, now=NOW)
    done = run(house, flow="orders")
    assert {key[0]: x.pulled.state for key, x in done.items()} == {
        "amazon-eu": "failed", "amazon-us": "done", "bunnings-au": "done", "otto-de": "done",
    }  # fmt: skip
    stream = Stream.objects.get(account=broken, flow="orders")
    assert stream.last_error_kind == "unauthorized"
    assert "forgotten" not in stream.last_error
    broken.refresh_from_db()
    assert broken.status == "broken"
    assert not Order.objects.filter(account=broken).exists()


@pytest.fixture
def today(sandbox: Sandbox) -> Iterator[datetime]:
    """The sandbox's present is ours, as tasks go by the wall clock."""
    moment = datetime.now(UTC)
    sandbox.set_clock(moment)
    yield moment
    sandbox.set_clock(NOW)


def test_otto_raising_on_every_call_leaves_the_tasks_of_the_others_green(
    house: list[Account], today: datetime, monkeypatch: pytest.MonkeyPatch
):
    def broken(door: Door) -> NoReturn:
        raise RuntimeError("our own program is wrong here")

    monkeypatch.setitem(connectors, "otto", replace(connectors["otto"], open=broken, check=broken))
    ended = {}
    for account in house:
        run = schedule.run_now(Stream.objects.get(account=account, flow="orders"), now=today)
        ended[account.code] = runner.execute(declare.rows()[run.task].declared, run.client_id, run.pk)
    assert ended == {"amazon-eu": "done", "amazon-us": "done", "bunnings-au": "done", "otto-de": "queued"}, (
        "again later"
    )
    assert Order.objects.values("account").distinct().count() == 3
    told = dict(Stream.objects.exclude(last_error="").values_list("account__code", "last_error"))
    assert set(told) == {"otto-de"}
    assert "RuntimeError: our own program is wrong here" in told["otto-de"]


def test_no_buyer_stands_in_plain_text_in_the_archive(house: list[Account]):
    run([account for account in house if account.code != "amazon-us"], flow="orders")
    for document in RawDocument.objects.filter(flow="orders"):
        assert document.is_encrypted
        assert document.purge_at is not None


def test_a_settlement_that_was_lost_is_noticed_and_fetched_again(house: list[Account]):
    (account,) = (each for each in house if each.code == "amazon-us")
    run([account], flow="settlements")
    lost = Settlement.objects.filter(account=account).order_by("period_end").first()
    count, total = lost.line_count, Settlement.objects.count()
    SettlementLine.objects.filter(settlement=lost).delete()
    lost.delete()
    (done,) = run([account], flow="settlements").values()
    assert (done.pulled.state, done.pulled.gaps) == ("done", 1)
    assert Settlement.objects.count() == total
    assert Settlement.objects.get(settlement_ref=lost.settlement_ref).line_count == count
    assert run([account], flow="settlements")[("amazon-us", "settlements")].pulled.gaps == 0


@pytest.mark.scenario("A11", "Our clock is ten minutes ahead of the marketplace's, then ten minutes behind")
def test_a_clock_that_is_wrong_loses_and_doubles_nothing(house: list[Account], sandbox: Sandbox, record_fault):
    (account,) = (each for each in house if each.code == "amazon-eu")
    ten, polls = timedelta(minutes=10), []
    try:
        for step in range(12):
            real = NOW - timedelta(days=4) + timedelta(hours=8) * step
            ours = real + (ten if step % 4 < 2 else -ten)
            sandbox.set_clock(real)
            result = pull_stream(account, "orders", now=ours)
            polls.append((result.state, result.error))
            complete = Stream.objects.get(account=account, flow="orders").complete_until
            assert complete <= real, "nothing of the marketplace's future counts as read"
    finally:
        sandbox.set_clock(NOW)
    final = pull_stream(account, "orders", now=NOW)
    assert {state for state, _ in polls} | {final.state} == {"done"}, polls
    found = list(Order.objects.filter(account=account).values_list("external_id", flat=True))
    known = sandbox.state.world.orders["amazon-eu"]
    floor = NOW - timedelta(days=70)
    wanted = {order.ref for order in known if floor <= order.created_at <= NOW - timedelta(minutes=3)}
    record_fault(
        f"{len(polls)} polls with a clock 10 minutes off", lost=len(wanted - set(found)),
        doubled=len(found) - len(set(found)),
    )  # fmt: skip
    assert len(wanted) > 20
    assert wanted <= set(found)
    assert len(found) == len(set(found))
