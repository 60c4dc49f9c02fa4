"""Accounts: what is refused, that secrets stay secret, and what the apps above hear."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command
from django.db import connection

from domventas.core.errors import Refused
from domventas.tests.canaries import TOY_KEY
from marketplaces.models import Account, AccountSite, Credential, Stream
from marketplaces.port import Token
from marketplaces.selectors import monitor
from marketplaces.services import accounts
from marketplaces.services.door import open_door
from marketplaces.services.pull import pull_stream
from marketplaces.signals import account_created
from marketplaces.tests.conftest import toy_account
from marketplaces.tests.support import NOW, Toy

SECRET = TOY_KEY


def test_an_account_comes_with_sites_secrets_and_streams_and_is_announced(toy: Toy):
    heard = []

    def hear(sender, account, now, **_):
        heard.append((account.code, now))

    account_created.connect(hear)
    try:
        account = toy_account("toy-1")
    finally:
        account_created.disconnect(hear)
    assert heard == [("toy-1", NOW)]
    assert {s.flow for s in Stream.objects.filter(account=account)} == {"orders", "offers"}
    assert AccountSite.objects.get().site.code == "toy.example"


def test_secrets_lie_encrypted_and_show_their_end_only(toy: Toy, account: Account):
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets::text FROM marketplaces_credential")
        assert SECRET not in cursor.fetchone()[0]
        cursor.execute("SELECT after::text FROM core_auditentry WHERE \"table\" = 'marketplaces_credential'")
        assert SECRET not in cursor.fetchone()[0]
    credential = Credential.objects.get()
    assert (credential.secrets, credential.fingerprint) == ({"key": SECRET}, SECRET[-4:])
    assert SECRET not in repr(open_door(account, now=NOW).credentials)


@pytest.mark.parametrize("secrets", [{}, {"key": " "}, {"key": "x" * 9, "color": "red"}])
def test_secrets_that_do_not_fit_are_refused_and_nothing_is_made(toy: Toy, secrets: dict[str, str]):
    with pytest.raises(Refused):
        accounts.create_account(
            channel="toy", code="a", name="A", external_id="a", sites=["toy.example"], secrets=secrets, now=NOW
        )
    assert not Account.objects.exists()


def test_a_site_the_marketplace_does_not_have_is_refused(toy: Toy):
    with pytest.raises(Refused, match=r"amazon\.de"):
        accounts.create_account(
            channel="toy", code="a", name="A", external_id="a", sites=["amazon.de"], secrets={"key": SECRET}, now=NOW
        )


def test_tokens_are_shared_and_new_secrets_throw_them_away(toy: Toy, account: Account):
    open_door(account, now=NOW).tokens.put("access", Token("token-value", NOW))
    assert open_door(account, now=NOW).tokens.get("access") == Token("token-value", NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tokens::text FROM marketplaces_credential")
        assert "token-value" not in cursor.fetchone()[0]
    accounts.set_secrets(account, {"key": "another-secret"}, now=NOW)
    assert open_door(account, now=NOW).tokens.get("access") is None


def test_only_a_sandbox_account_talks_to_the_sandbox(toy: Toy, account: Account, settings):
    settings.SANDBOX_URL = "http://127.0.0.1:8790"
    assert open_door(account, now=NOW).hosts == {"api": "http://127.0.0.1:8790/toy"}
    account.environment = Account.Environment.LIVE
    assert open_door(account, now=NOW).hosts == {"api": "https://toy.example"}


def test_the_monitor_tells_fresh_late_and_paused_apart(toy: Toy, account: Account, django_assert_max_num_queries):
    toy.fill(2)
    pull_stream(account, "orders", now=NOW)
    rows = {row.flow: row for row in monitor.rows(now=NOW)}
    assert (rows["orders"].health, rows["offers"].health) == ("fresh", "never")
    assert monitor.trust(rows.values()).complete_until is None
    late = {row.flow: row for row in monitor.rows(now=NOW + rows["orders"].target * 2)}["orders"]
    assert (late.health, late.age, late.gaps) == ("late", late.target * 2, 0)
    accounts.pause(account)
    toy_account("toy-2")
    with django_assert_max_num_queries(6):
        found = monitor.rows(now=NOW)
    assert [row.health for row in found] == ["paused", "paused", "never", "never"]


def test_sync_prints_one_json_object_and_fails_when_a_stream_does(toy: Toy, account: Account, capsys):
    toy.fill(3)
    call_command("sync", "--flow", "orders", "--now", NOW.isoformat(), "--json")
    (run,) = json.loads(capsys.readouterr().out.splitlines()[-1])["runs"]
    wanted = {"account", "flow", "pages", "records", "quarantined", "windows", "gaps", "seconds"}
    assert wanted <= run.keys()
    assert (run["account"], run["windows"], run["state"]) == ("toy-1", 10, "done")
    toy.before = lambda window, token: {}["broken"]
    with pytest.raises(SystemExit):
        call_command("sync", "--flow", "orders", "--since", "2026-10-31", "--now", NOW.isoformat())
    assert "toy-1 orders" in capsys.readouterr().err
    call_command("reprocess", "--now", NOW.isoformat(), "--json")
    counts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (counts["documents"] > 0, counts["changed"]) == (True, 0)
