"""What is written down, by whom and in which request; and how an auditor reads it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from domventas.core import tenancy
from domventas.core.jobs import runner
from domventas.core.models import AuditEntry, Client, Membership, TaskRun, Threshold, User
from domventas.core.roles import Role
from domventas.core.tests import jobs_for_tests
from domventas.core.tests.conftest import House
from domventas.tests.filler import make
from marketplaces.models import Account, Credential, Stream
from marketplaces.services import streams

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
assert jobs_for_tests.STEPS == 3  # imported for its declarations

AUDITED = {
    "core.Membership", "core.Route", "core.Threshold",
    "marketplaces.Account", "marketplaces.AccountSite", "marketplaces.Credential", "marketplaces.Stream",
    "finance.ExchangeRate", "finance.FeeKindMap", "finance.FeeRule", "finance.PaymentTerm", "finance.RefundRule",
    "finance.SkuCost", "finance.Tolerance",
    "core.PiiAccess", "orders.BuyerContact", "orders.Erasure",
}  # fmt: skip
"""Rights, secrets, switches, everything money is judged by, and what is done with buyers' data."""


def test_what_rights_secrets_switches_and_money_hang_on_is_written_down(db: None) -> None:
    marked = {model for model in apps.get_models() if getattr(model, "audited", False)}
    assert {model._meta.label for model in marked} >= AUDITED
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, count(*) FROM pg_trigger WHERE tgname IN ('audit_write', 'audit_update')"
            " AND tgenabled = 'O' AND tgparentid = 0 GROUP BY 1"
        )
        assert dict(cursor.fetchall()) == {model._meta.db_table: 2 if model.audited is True else 1 for model in marked}


def test_a_switch_is_written_down_and_the_machines_own_marks_are_not(acting: Client) -> None:
    stream = make(Stream)
    known = set(AuditEntry.objects.values_list("pk", flat=True))
    Stream.objects.filter(pk=stream.pk).update(version=7, last_error="busy", failures=2)
    streams.pause([stream])
    [entry] = AuditEntry.objects.exclude(pk__in=known)
    assert entry.before and entry.after
    assert (entry.table, entry.before["is_paused"], entry.after["is_paused"]) == ("marketplaces_stream", False, True)


def signed_in(user: User) -> Browser:
    browser = Browser(headers={"X-Client": "alba", "X-Request-Id": "request-17"})
    browser.force_login(user)
    return browser


def test_a_change_in_the_web_names_the_person_and_the_request(alba: House) -> None:
    page = f"/c/alba/admin/core/threshold/{alba.limit.pk}/change/"
    form = {"code": "alba-margin", "scope_kind": "", "scope_ref": "", "value": "7"}
    assert signed_in(alba.user).post(page, form).status_code == 302
    with tenancy.acting_for(alba.client):
        entry = AuditEntry.objects.latest("pk")
        assert (entry.actor, entry.request, entry.row) == (alba.user.email, "request-17", alba.limit.pk)


def test_outside_every_client_the_person_is_named_too(alba: House) -> None:
    membership = Membership.objects.get(user=alba.user)
    with tenancy.known_as("operator@example.com", "request-18"):
        Membership.objects.filter(pk=membership.pk).update(role=Role.AUDITOR)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('domventas.actor', true)")
        assert cursor.fetchone()[0] == "", "nobody is named once it is over"
    with tenancy.acting_for(alba.client):
        entry = AuditEntry.objects.latest("pk")
        assert (entry.table, entry.actor, entry.request) == ("core_membership", "operator@example.com", "request-18")


def test_a_task_names_itself_and_its_run(acting: Client) -> None:
    run = TaskRun.objects.create(task="test.steps", slot=NOW, created_at=NOW, seen_at=NOW, lock_key="x")
    runner.execute("test.steps", acting.pk, run.pk)
    entries = AuditEntry.objects.filter(actor="task:test.steps")
    assert entries and {entry.request for entry in entries} == {str(run.pk)}


@pytest.fixture
def auditor(client_dv: Client) -> Browser:
    user = User.objects.create_user("auditor@example.com", "a long password")
    Membership.objects.create(user=user, client=client_dv, role=Role.AUDITOR)
    browser = Browser()
    browser.force_login(user)
    return browser


LIST = "/c/dom-ventas/admin/core/auditentry/"


def test_an_auditor_reads_what_was_and_what_is(auditor: Browser, client_dv: Client) -> None:
    with tenancy.acting_for(client_dv, actor="ines@example.com", request="r-1"):
        limit = Threshold.objects.create(code="margin", value="1.5")
        Threshold.objects.update(value="2.25")
        account = make(Account, status=Account.Status.ACTIVE)
        Account.objects.update(status=Account.Status.BROKEN)
        make(Credential, account=account, secrets={"key": "s3cret-value"})
    page = auditor.get(LIST).content.decode()
    assert f"Limit #{limit.pk}, changed" in page and "value: 1.5" in page and "→ 2.25" in page
    assert "status: active → sign-in refused" in page
    assert "a secret (" in page and "s3cret" not in page
    only = auditor.get(f"{LIST}?table=core_threshold&done=changed").content.decode()
    assert f"Limit #{limit.pk}, changed" in only and "Account #" not in only
    same = auditor.get(f"{LIST}?request=r-1")
    assert len(same.context["cl"].result_list) == 5
    entry = same.context["cl"].result_list[0]
    own = auditor.get(f"{LIST}{entry.pk}/change/").content.decode()
    assert f"Limit #{limit.pk}, made" in own and "not yet" in own
    assert len(auditor.get(f"{LIST}?q=ines@example.com").context["cl"].result_list) == 5


def test_the_list_asks_as_often_for_twenty_entries_as_for_two(auditor: Browser, client_dv: Client) -> None:
    def queries(count: int) -> int:
        with tenancy.acting_for(client_dv, actor="x", request="r"):
            for _ in range(count):
                make(Threshold)
        with CaptureQueriesContext(connection) as asked:
            assert auditor.get(LIST).status_code == 200
        return len(asked)

    queries(2)
    assert queries(2) == queries(20)
