"""No secret stands in plain anywhere: planted in credentials and tokens, sent, refused and echoed, then looked for."""

from __future__ import annotations

import base64
import logging
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client as Browser
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from domventas.core.jobs import declare, firing, runner
from domventas.core.models import AuditEntry, Client, Membership, TaskRun, User
from domventas.core.roles import Role
from domventas.tests import canaries
from domventas.tests.canaries import TOY_KEY
from marketplaces.models import Account, Credential, Stream
from marketplaces.port import Door, RawPage, Token, Window
from marketplaces.registry import connectors
from marketplaces.services.accounts import resume, set_secrets
from marketplaces.services.accounts import test_connection as try_connection
from marketplaces.services.pull import pull_stream
from marketplaces.services.streams import in_words
from marketplaces.tests.conftest import toy_account
from marketplaces.tests.support import NOW, Toy

ACCESS = "cnry-access-token-77ab31"
SECOND = "cnry-second-key-e10c55"
WORDS = (TOY_KEY, ACCESS, SECOND)
pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "ops"])


@pytest.fixture
def echo(toy: Toy, httpserver: HTTPServer, settings: Any) -> Toy:
    """A marketplace that sends back what it was sent, in body and header; its connector signs in with a token."""
    settings.SANDBOX_URL = httpserver.url_for("").rstrip("/")

    def answer(request: Request) -> Response:
        told = f"{request.headers.get('Authorization')} {request.full_path} {request.get_data(as_text=True)}"
        return Response(f'{{"error": "bad key {told}"}}', status=int(request.args["status"]), headers={"X-Echo": told})

    httpserver.expect_request("/toy/orders").respond_with_handler(answer)

    def fetch(door: Door, window: Window, token: str) -> RawPage:
        key = door.credentials["key"]
        door.tokens.put("access", Token(ACCESS, door.clock() + timedelta(hours=1)))
        answered = door.http.request(
            "POST", f"{door.hosts['api']}/orders", operation="orders", params={"status": toy.status, "api_key": key},
            headers={"Authorization": f"Bearer {ACCESS}"}, json={"secret": key},
        )  # fmt: skip
        return RawPage(body=answered.body, content_type="application/json")

    toy.status = "401"  # type: ignore[attr-defined]  # steers the echo
    object.__setattr__(connectors["toy"].flows["orders"], "fetch", fetch)
    return toy


def staff(client: Client) -> Browser:
    user = User.objects.create_user("admin@example.com", "a long password")
    Membership.objects.create(user=user, client=client, role=Role.ADMIN)
    browser = Browser(headers={"X-Client": "dom-ventas"})
    browser.force_login(user)
    return browser


def exercise(toy: Any, account: Account) -> None:
    """Everything that touches the secrets: readings refused in every way, a task run, new secrets."""
    for status in ("401", "403", "400", "404", "429"):
        toy.status = status
        resume(account)
        pull_stream(account, "orders", now=NOW)
    toy.status = "401"
    resume(account)
    try_connection(account, now=NOW)
    firing.enqueue("orders.pull.toy", account_id=account.pk, now=NOW)
    run = TaskRun.objects.get(task="orders.pull.toy")
    runner.execute(declare.rows()[run.task].declared, run.client_id, run.pk)
    assert Credential.objects.get().tokens["access"]["value"] == ACCESS, "the secrets were really used"
    set_secrets(account, {"key": SECOND}, now=NOW)
    logging.getLogger("marketplaces").error("%r %s", Credential.objects.get(), Credential.objects.values())


def test_no_secret_is_left_in_logs_tables_valkey_or_pages(
    echo: Toy, client_of: Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # the echo's own lines are not ours
    account = toy_account("toy-1")
    exercise(echo, account)
    assert "401" in str(Stream.objects.get(flow="orders").last_error) + str(TaskRun.objects.get().note) + (
        Account.objects.get().status_note
    )
    browser, base = staff(client_of), "/c/dom-ventas"
    pages = [
        f"/admin/marketplaces/account/{account.pk}/change/", "/admin/marketplaces/account/",
        "/admin/marketplaces/stream/", "/admin/marketplaces/rawdocument/", "/admin/core/taskrun/",
        "/admin/core/auditentry/", "/system/monitor/", "/",
    ]  # fmt: skip
    pages += [f"/admin/core/auditentry/{pk}/change/" for pk in AuditEntry.objects.values_list("pk", flat=True)]
    html = "".join(browser.get(f"{base}{page}").content.decode() for page in pages)
    dump = canaries.dumped()
    said = capfd.readouterr()
    assert "<sealed>" in caplog.text and "a secret (" in html, "the looking itself works"
    for where, text in (("logs", caplog.text), ("streams", said.out + said.err), ("pages", html)):
        assert canaries.counted(text.encode(), WORDS) == {}, where
    assert canaries.counted(dump, WORDS) == {}
    assert [name for name, value in canaries.valkey() if canaries.counted(value, WORDS)] == []
    inside = canaries.counted(canaries.opened(dump, [client_of.pk]), WORDS)
    assert set(inside) == {SECOND}, "the newest secret is there, encrypted; those before are gone"


def test_our_own_faults_do_not_quote_secrets(account: Account) -> None:
    """An error of ours may carry whatever the program had in hand: here a whole credential."""
    credential = Credential.objects.get()
    words = in_words(ValueError(f"{credential!r} {credential} {list(Credential.objects.values())}"))
    assert "cnry-" not in words


def test_the_watch_over_all_tests_sees_what_it_is_for(account: Account) -> None:
    watch = canaries.Watch()
    watch.handle(logging.makeLogRecord({"name": "x", "msg": "key %s", "args": (TOY_KEY,)}))
    watch.handle(logging.makeLogRecord({"name": "x", "msg": "nothing"}))
    assert len(watch.found) == 1 and TOY_KEY not in watch.found[0]
    assert watch.tables() == [] and watch.is_dumped, "a dump was searched: the database holds secrets"
    watch.is_dumped = False
    Account.objects.update(status_note=base64.b64encode(TOY_KEY.encode()).decode())
    assert watch.tables() == ["a dump (a word like cnry…)"], "no word of a table, but of a dump"
    Account.objects.update(status_note=f"bad key {TOY_KEY}")
    assert watch.tables() and "marketplaces_account" in watch.tables()
    Account.objects.update(status_note="")
    clean_up_the_audit()
    token = f"dv_{'a1' * 6}_{'B' * 43}"
    Account.objects.update(status_note=f"1f3e5a7b:gAAAAB{token}")
    assert watch.tables() == [], "what is sealed may spell a word by chance"
    Account.objects.update(status_note=f"Bearer {token}")
    assert "marketplaces_account" in watch.tables()
    Account.objects.update(status_note="")
    clean_up_the_audit()


def clean_up_the_audit() -> None:
    """Else the watch finds what this very test has planted."""
    with connections["ops"].cursor() as ops:
        ops.execute("UPDATE core_auditentry SET before = NULL, after = NULL WHERE \"table\" = 'marketplaces_account'")
