"""The monitor's lower half, its refresh, and reading the archive again by a click."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.core.jobs import declare, runner
from domventas.core.models import AuditEntry, Client, TaskRun
from domventas.core.roles import Role
from domventas.tests.filler import make
from marketplaces.models import Account, InboundEvent, OutboxCommand, PushFlow, RawDocument, Stream
from marketplaces.pages.border import rate_in_words
from marketplaces.port import Limit
from marketplaces.registry import connectors
from marketplaces.services import push_flows, replay
from marketplaces.services.pull import pull_stream
from marketplaces.services.reprocess import Reprocessed
from marketplaces.shared import breaker, budget_key, limiter
from marketplaces.tests.support import NOW, Toy
from marketplaces.tests.test_pages import HOME, browser, text
from orders.models import Order

MONITOR = f"{HOME}/system/monitor/"
PUT_ASIDE = "admin/core/taskrun/?state__exact=quarantined&amp;account="


@pytest.fixture
def admin(client_of: Client) -> Browser:
    """The client's administrator, who may steer connections."""
    return browser(client_of, Role.ADMIN)


@pytest.fixture
def seller(toy: Toy) -> Iterator[Account]:
    """An account that can be told things; what Valkey remembers of it goes, as other tests have its number again."""
    account = make(Account, channel="amazon", name="Amazon EU", status="active")
    _forget(account)
    yield account
    _forget(account)


def _forget(account: Account) -> None:
    memory = limiter()._client
    for key in list(memory.scan_iter(f"*{budget_key(account)}*")):
        memory.delete(key)


def test_an_account_shows_its_calls_hosts_pushes_events_and_runs(seller: Account, admin: Browser) -> None:
    limit = connectors["amazon"].limits["orders.search"]
    limiter().welcome(budget_key(seller))
    limiter().close(budget_key(seller), "orders.search", limit, 600)
    for _ in range(9):
        breaker().failed(budget_key(seller), "api.example", "No answer for 30 s.")
    push_flows.ensure(seller, now=clock())
    for state in ("waiting", "unknown", "given_up", "given_up"):
        make(OutboxCommand, account=seller, verb="shipments", state=state)
    make(InboundEvent, account=seller, state="waiting")
    make(InboundEvent, account=seller, state="failed")
    make(TaskRun, account_id=seller.pk, state="quarantined")
    make(Stream, account=seller, flow="orders")
    page = text(admin.get(MONITOR))
    assert "0 of 20</span> orders.search, closed until" in page, "the scarcest first"
    assert " an hour" in page, "a rate people can picture"
    assert "open until" in page and "api.example: No answer for 30 s." in page
    for words in ("1 waiting", "1 unknown", "2 given up", "shadow", "1 failed"):
        assert words in page, words
    assert f"{PUT_ASIDE}{seller.pk}" in page
    push_flows.stop_everything(actor="test", now=clock())
    assert 'pill bad">stopped' in text(admin.get(MONITOR)), "the one switch is stronger than the flow's own"


def test_a_refresh_brings_the_two_halves_and_nothing_else(account: Account, admin: Browser) -> None:
    whole = text(admin.get(f"{MONITOR}?flow=orders"))
    assert f'hx-get="{MONITOR}?flow=orders" hx-trigger="every 30s"' in whole
    part = text(admin.get(f"{MONITOR}?flow=orders", headers={"HX-Request": "true"}))
    assert "toy-1 Orders: never read" in part and "At the border" in part
    assert 'id="monitor-rest" class="live" data-live hx-swap-oob="true"' in part
    assert "<h1" not in part and "<html" not in part


def test_a_refresh_costs_as_many_queries_for_twenty_accounts_as_for_two(account: Account, admin: Browser) -> None:
    def grow(count: int) -> None:
        for _ in range(count):
            seller = make(Account, channel="amazon")
            make(Stream, account=seller, flow="orders")
            make(PushFlow, account=seller, verb="shipments")
            make(OutboxCommand, account=seller, verb="shipments", state="unknown")
            make(InboundEvent, account=seller, state="failed")
            make(TaskRun, account_id=seller.pk, state="quarantined")

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            text(admin.get(MONITOR, headers={"HX-Request": "true"}))
        return len(caught)

    grow(2)
    queries()
    few = queries()
    grow(18)
    assert queries() == few


def test_the_archive_is_read_again_after_asking_and_by_a_job(toy: Toy, account: Account, admin: Browser) -> None:
    toy.fill(5)
    pull_stream(account, "orders", now=NOW)
    stream = Stream.objects.get(account=account, flow="orders")
    Order.objects.filter(external_id="T-003").delete()
    asked = len(toy.asked)
    page = text(admin.get(f"{HOME}/system/monitor/{stream.pk}/replay/"))
    assert f"{RawDocument.objects.count()} raw documents are kept." in page
    data = {"step": "replay", "_client": "dom-ventas"}
    assert "The archive is read again by run" in text(admin.post(f"{MONITOR}{stream.pk}/", data, follow=True))
    assert "The archive is being read again" in text(admin.get(f"{MONITOR}?stream={stream.pk}"))
    entry = AuditEntry.objects.filter(table="marketplaces_stream").order_by("-pk").first()
    assert entry is not None and entry.actor == "admin@example.com", "who asked is kept"
    run = TaskRun.objects.get(task="ingest.toy.replay")
    assert runner.execute(declare.rows()[run.task].declared, run.client_id, run.pk) == "done"
    assert Order.objects.filter(external_id="T-003").exists()
    assert len(toy.asked) == asked, "the marketplace is asked nothing"
    stream.refresh_from_db()
    assert (stream.replay_since, stream.replay_next) == (None, None)


def test_who_asked_for_a_reading_or_a_backfill_is_kept(account: Account, admin: Browser) -> None:
    stream = Stream.objects.get(account=account, flow="orders")
    for data in ({"step": "run"}, {"step": "reread", "since": "2026-11-01"}):
        before = AuditEntry.objects.count()
        admin.post(f"{MONITOR}{stream.pk}/", {**data, "_client": "dom-ventas"})
        entry = AuditEntry.objects.filter(table="marketplaces_stream", row=stream.pk).order_by("-pk")[0]
        assert AuditEntry.objects.count() == before + 1 and entry.actor == "admin@example.com"
    assert "2026-10-31T23:00" in str(entry.after), "the day in the client's zone"


def test_a_replay_that_died_goes_on_where_its_last_batch_ended(
    toy: Toy, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.fill(9)
    for hour in range(3):
        pull_stream(account, "orders", now=NOW + timedelta(hours=hour))
    kept = RawDocument.objects.filter(flow="orders")
    stream = Stream.objects.get(account=account, flow="orders")
    replay.ask(stream, now=NOW)
    monkeypatch.setattr(replay, "BATCH", 1)
    first = kept.filter(last_fetched_at=kept.order_by("last_fetched_at")[0].last_fetched_at).count()
    really, done = replay.reprocess, []

    def dies(*args: object, **how: object) -> Reprocessed:
        if done:
            raise MemoryError
        done.append(how)
        return really(*args, **how)

    monkeypatch.setattr(replay, "reprocess", dies)
    with pytest.raises(MemoryError):
        replay.replay(account, now=NOW)
    monkeypatch.setattr(replay, "reprocess", really)
    assert replay.replay(account, now=NOW).documents == kept.count() - first
    assert replay.replay(account, now=NOW).documents == 0, "what is done is not done again"


def test_who_only_reads_gets_no_button_and_cannot_replay(account: Account, client_of: Client) -> None:
    stream = Stream.objects.get(account=account, flow="orders")
    manager = browser(client_of, Role.MANAGER)
    assert '<form method="post"' not in text(manager.get(f"{MONITOR}{stream.pk}/replay/"))
    answer = manager.post(f"{MONITOR}{stream.pk}/", {"step": "replay", "_client": "dom-ventas"})
    assert answer.status_code == 403
    stream.refresh_from_db()
    assert stream.replay_since is None


@pytest.mark.parametrize(
    ("limit", "words"),
    [(Limit(rate=2.0, burst=4), "2 a second"), (Limit(rate=1 / 60, burst=4), "1 a minute"),
     (Limit(rate=2 / 86400, burst=4), "2 a day")],
)  # fmt: skip
def test_a_rate_is_said_in_the_unit_that_gives_a_number(limit: Limit, words: str) -> None:
    assert rate_in_words(limit.rate) == words
