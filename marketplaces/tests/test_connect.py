"""Connecting an account by its pages, against the sandbox: each marketplace once, and each way it can fail."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.http import urlencode
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.jobs import declare, runner
from domventas.core.models import AuditEntry, Client, TaskRun
from domventas.core.roles import Role
from domventas.core.signin import session
from domventas.tests.filler import make
from marketplaces.models import Account, Credential, PushFlow, ReportJob, Stream, SyncWindow
from marketplaces.registry import connectors
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.selectors.progress import progress
from marketplaces.selectors.stream import WAITING
from marketplaces.services.pull import pull_stream
from marketplaces.services.sites import sync_sites
from marketplaces.shared import limiter
from marketplaces.tests.test_pages import HOME, browser, text
from orders.models import Order

CONNECT = f"{HOME}/system/connect/"
LWA = {"client_id": "sandbox-client", "client_secret": "sandbox-secret"}
AMAZON = ("amazon", "A2DOMVENTASEU", ["amazon.de"], LWA | {"refresh_token": "Atzr|sandbox-eu"})
BUNNINGS = ("bunnings", "2042", ["bunnings.com.au"], {"api_key": "sandbox-bunnings-key", "shop_id": "2042"})
OTTO = ("otto", "1000871", ["otto.de"], {"client_id": "sandbox-otto-app", "client_secret": "sandbox-otto-secret"})
Shop = tuple[str, str, list[str], dict[str, str]]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start(seed=5, orders=60, days=20, skus=12, now=clock(), faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def house(sandbox: Sandbox, settings: Any, transactional_db: None) -> Iterator[Client]:
    """A client without accounts, whose sandbox accounts reach the running sandbox."""
    settings.SANDBOX_URL = sandbox.url
    sync_sites()
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    for kind in ("bucket", "breaker"):  # other tests had accounts with the same numbers, and spent their calls
        for key in list(limiter()._client.scan_iter(f"{kind}*:{client.pk}:*")):
            limiter()._client.delete(key)
    with tenancy.acting_for(client, actor="test"):
        yield client


@pytest.fixture
def admin(house: Client) -> Browser:
    """The administrator, who has just shown the password."""
    return browser(house, Role.ADMIN)


def address(shop: Shop, **more: str) -> str:
    """The page of step 3 with the answers of step 2."""
    channel, ref, sites, _secrets = shop
    given = {"channel": channel, "name": f"{channel} shop", "external_id": ref, "environment": "sandbox"}
    return f"{CONNECT}?{urlencode({**given, 'sites': sites, **more}, doseq=True)}"


def enter(who: Browser, shop: Shop, **changed: str) -> Any:
    """Test the secrets, some of them changed."""
    return who.post(address(shop), {**shop[3], **changed, "_client": "dom-ventas"})


def begin(who: Browser, account: Account, *flows: str) -> str:
    day = (clock() - timedelta(days=21)).date().isoformat()
    data = {"step": "start", "flows": flows, "first_day": day, "_client": "dom-ventas"}
    return text(who.post(f"{CONNECT}{account.pk}/", data, follow=True))


def work(account: Account) -> None:
    """What the workers do with the runs asked for, and with the reports behind them."""
    for run in TaskRun.objects.filter(account_id=account.pk, state="queued").order_by("pk"):
        assert runner.execute(declare.rows()[run.task].declared, run.client_id, run.pk) in ("done", "queued")
    by_report = [name for name, flow in connectors[account.channel].flows.items() if flow.reports is not None]
    until = time.monotonic() + 60
    while time.monotonic() < until:  # the sandbox prepares a report for a second, as marketplaces do for minutes
        for name in by_report:
            pull_stream(account, name, now=clock(), start=False, hurry=True)
        if not ReportJob.objects.filter(status__in=WAITING).exists():
            return
        time.sleep(0.2)


@pytest.mark.parametrize("shop", [AMAZON, BUNNINGS, OTTO], ids=lambda shop: shop[0])
def test_an_account_is_connected_step_by_step_and_its_first_reading_ends(shop: Shop, admin: Browser) -> None:
    channel, _ref, _sites, secrets = shop
    assert f'href="?channel={channel}"' in text(admin.get(CONNECT))
    assert "On to the sign-in" in text(admin.get(f"{CONNECT}?channel={channel}"))
    assert "Test the connection" in text(admin.get(address(shop)))
    assert not Account.objects.exists()
    answer = enter(admin, shop)
    account = Account.objects.get()
    assert answer.url == f"{CONNECT}{account.pk}/"
    assert (account.status, account.status_note) == ("new", "")
    assert Credential.objects.get().secrets == secrets
    page = text(admin.get(answer.url))
    assert "Signed in" in page and "starts in shadow" in page
    assert not TaskRun.objects.exists(), "nothing is read before it is started"
    flows = list(connectors[channel].flows)
    page = begin(admin, account, *flows)
    assert f"Started: {len(flows)} first readings are asked for." in page
    assert "asked for, waits for a free worker" in page and 'hx-trigger="every 5s"' in page
    account.refresh_from_db()
    work(account)
    fragment = text(admin.get(answer.url, headers={"HX-Request": "true"}))
    assert "Everything you asked for is here." in fragment, fragment
    assert "<h1" not in fragment and "hx-trigger" not in fragment, "who has everything asks no more"
    found = progress(account, now=clock())
    assert found.is_done and found.share == 1
    assert next(flow for flow in found.flows if flow.flow == "orders").records > 0
    assert Order.objects.filter(account=account).exists()
    assert not PushFlow.objects.exclude(mode="shadow").exists()
    entry = AuditEntry.objects.filter(table="marketplaces_account").order_by("pk").first()
    assert entry is not None and entry.actor == "admin@example.com"


@pytest.mark.parametrize(
    ("shop", "changed", "head", "step"),
    [
        (OTTO, {"client_secret": "no-such-secret-7421"}, "Otto did not accept these secrets.", "takes the sandbox"),
        (AMAZON, {"refresh_token": "Atzr|no-such-7421"}, "Amazon did not accept these secrets.", "Copy each of them"),
        (BUNNINGS, {"api_key": "no-such-key-7421"}, "Bunnings did not accept these secrets.", "Copy each of them"),
        (BUNNINGS, {"shop_id": "9999"}, "knows the key, but not for this seller", "Compare the seller or shop id"),
    ],
    ids=["otto secret", "amazon token", "bunnings key", "bunnings shop"],
)  # fmt: skip
def test_a_failed_test_says_what_to_do_and_stores_nothing(
    shop: Shop, changed: dict[str, str], head: str, step: str, admin: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = enter(admin, shop, **changed)
    page = text(answer)
    assert head in page and step in page and "Save anyway" in page
    assert not Account.objects.exists() and not Credential.objects.exists()
    hidden = [value for name, value in {**shop[3], **changed}.items() if name not in ("client_id", "shop_id")]
    kept = str([row.get_decoded() for row in Session.objects.all()]) + caplog.text
    for value in hidden:
        assert value not in page and value not in kept and value not in answer.wsgi_request.get_full_path()
    assert "no-store" in answer["Cache-Control"]


def test_a_host_that_gives_no_answer_is_named_with_what_to_do(admin: Browser, settings: Any) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    page = text(enter(admin, OTTO))
    assert "Otto gave no answer." in page
    assert "The sandbox should answer at http://127.0.0.1:9." in page
    assert not Account.objects.exists()


def test_an_untested_account_is_kept_only_when_one_says_so_and_is_finished_later(
    admin: Browser, settings: Any, sandbox: Sandbox
) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    answer = enter(admin, OTTO, anyway="1")
    account = Account.objects.get()
    assert account.status == "new" and "has not worked yet" in account.status_note
    page = text(admin.get(CONNECT))
    assert "Not finished" in page and f"{CONNECT}{account.pk}/" in page
    assert "cret</b>" not in page
    assert "nothing can be read" in begin(admin, account, "orders")
    assert "Otto gave no answer." in text(admin.post(answer.url, {"step": "test", "_client": "dom-ventas"}))
    settings.SANDBOX_URL = sandbox.url
    wrong = {"step": "secrets", **OTTO[3], "client_secret": "no-such-secret", "_client": "dom-ventas"}
    assert "did not accept" in text(admin.post(answer.url, wrong))
    right = wrong | OTTO[3]
    assert "Start reading" in text(admin.post(answer.url, right, follow=True))
    assert "Started: 1 first readings" in begin(admin, account, "orders")
    assert Stream.objects.get(account=account, flow="offers").is_paused
    assert "is connected already" in begin(admin, account, "orders")
    assert "Not finished" not in text(admin.get(CONNECT))


def test_the_secrets_ask_for_the_password_when_it_was_shown_long_ago(admin: Browser) -> None:
    kept = admin.session
    kept["sure_at"] = (clock() - session.SURE - timedelta(seconds=5)).timestamp()
    kept.save()
    for answer in (admin.get(address(OTTO)), enter(admin, OTTO)):
        assert answer.status_code == 302 and "next=" in answer.url
        assert "sandbox-otto-secret" not in answer.url
    assert not Account.objects.exists()


def test_the_same_seller_is_not_connected_twice(admin: Browser) -> None:
    enter(admin, OTTO)
    assert "is this seller already." in text(admin.get(address(OTTO, name="Again")))
    assert "is this seller already." in text(enter(admin, OTTO))
    assert Account.objects.count() == 1


def test_who_may_not_set_secrets_looks_and_changes_nothing(house: Client, admin: Browser) -> None:
    enter(admin, OTTO)
    account = Account.objects.get()
    manager = browser(house, Role.MANAGER)
    assert "Accounts are connected by your administrator" in text(manager.get(CONNECT))
    assert "Test the connection" not in text(manager.get(address(BUNNINGS)))
    assert enter(manager, BUNNINGS).status_code == 403
    assert "Start reading" not in text(manager.get(f"{CONNECT}{account.pk}/"))
    data = {"step": "start", "flows": ["orders"], "_client": "dom-ventas"}
    assert manager.post(f"{CONNECT}{account.pk}/", data).status_code == 403
    assert browser(house, Role.SERVICE).get(f"{CONNECT}{account.pk + 999}/").status_code == 404
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"external_id": ""}, "This field is required."),
        ({"sites": "amazon.xx"}, "amazon.xx is not one of the available choices"),
        ({"environment": "moon"}, "moon is not one of the available choices"),
    ],
)
def test_wrong_details_are_named_at_their_field(given: dict[str, str], words: str, admin: Browser) -> None:
    page = text(admin.get(address(AMAZON, **given)))
    assert words in page and "Test the connection" not in page


def test_a_day_to_come_and_no_flow_are_refused(admin: Browser) -> None:
    enter(admin, OTTO)
    account = Account.objects.get()
    day = (clock() + timedelta(days=9)).date().isoformat()
    page = text(admin.post(f"{CONNECT}{account.pk}/", {"step": "start", "first_day": day, "_client": "dom-ventas"}))
    assert "This day has not come yet." in page and "Choose at least one" in page
    assert not TaskRun.objects.exists()


def test_the_progress_costs_as_many_queries_for_many_windows_as_for_two(admin: Browser) -> None:
    enter(admin, OTTO)
    account = Account.objects.get()
    begin(admin, account, "orders")
    stream = Stream.objects.get(account=account, flow="orders")

    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            text(admin.get(f"{CONNECT}{account.pk}/", headers={"HX-Request": "true"}))
        return len(caught)

    for _ in range(2):
        make(SyncWindow, stream=stream)
    queries()
    few = queries()
    for _ in range(18):
        make(SyncWindow, stream=stream)
    assert queries() == few
