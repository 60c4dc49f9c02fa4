"""Task runs in the admin: found by state, task and account, read by many, begun anew by those who may, after asking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client as Browser

from domventas.core import tenancy
from domventas.core.jobs import firing
from domventas.core.models import Client, Dispatch, Membership, TaskRun, User
from domventas.core.roles import Role
from domventas.core.tests import jobs_for_tests
from marketplaces.models import Account

NOW = datetime(2026, 11, 20, 6, 2, 30, tzinfo=UTC)
LIST = "/c/dom-ventas/admin/core/taskrun/"
assert jobs_for_tests.STEPS == 3  # imported for its declarations


def browser(client: Client, role: Role) -> Browser:
    user = User.objects.create_user(f"{role}@example.com", "a long password")
    Membership.objects.create(user=user, client=client, role=role)
    found = Browser()
    found.force_login(user)
    return found


@pytest.fixture
def run(acting: Client) -> TaskRun:
    firing.fire("test.steps", now=NOW)
    Dispatch.objects.all().delete()
    TaskRun.objects.update(state="quarantined", starts=3, attempt=3, ended_at=NOW, note="Begun 3 times, left alone.")
    return TaskRun.objects.get()


def ask(person: Browser, run: TaskRun, **more: str) -> Any:
    data = {"action": "requeue", "_selected_action": str(run.pk), "_client": "dom-ventas", **more}
    return person.post(LIST, data, follow=True)


def test_a_run_is_begun_anew_after_asking(acting: Client, run: TaskRun) -> None:
    admin = browser(acting, Role.ADMIN)
    page = ask(admin, run).content.decode()
    assert "Begun 3 times, left alone." in page and "Mend the cause first" in page
    run.refresh_from_db()
    assert run.state == "quarantined"  # only asked so far
    assert "1 run begins anew" in ask(admin, run, confirmed="yes").content.decode()
    run.refresh_from_db()
    assert (run.state, run.starts, run.note) == ("queued", 0, "Begun anew by admin@example.com.")
    assert Dispatch.objects.get().run_id == run.pk
    assert "Nothing to requeue" in ask(admin, run, confirmed="yes").content.decode()


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN, Role.SERVICE}))
def test_others_read_but_begin_nothing_anew(acting: Client, run: TaskRun, role: Role) -> None:
    person = browser(acting, role)
    page = person.get(f"{LIST}?state__exact=quarantined")
    assert page.status_code == 200 and "Begun 3 times, left alone." in page.content.decode()
    assert "Requeue" not in page.content.decode()
    ask(person, run, confirmed="yes")
    run.refresh_from_db()
    assert run.state == "quarantined"


@pytest.mark.parametrize(("words", "found"), [("steps", 1), ("left ALONE", 1), ("quarant", 1), ("orders.pull", 0)])
def test_a_run_is_found_by_its_task_by_what_its_note_says_and_by_its_state(
    acting: Client, run: TaskRun, words: str, found: int
) -> None:
    page = browser(acting, Role.ADMIN).get(LIST, {"q": words})
    assert len(page.context["cl"].result_list) == found


def test_nobody_edits_a_run_or_deletes_it(acting: Client, run: TaskRun) -> None:
    admin = browser(acting, Role.ADMIN)
    page = admin.get(f"{LIST}{run.pk}/change/")
    assert page.status_code == 200 and b'name="_save"' not in page.content
    data = {"state": "done", "_client": "dom-ventas"}
    assert admin.post(f"{LIST}{run.pk}/change/", data).status_code == 403
    assert admin.post(f"{LIST}{run.pk}/delete/", data).status_code == 403


def test_runs_of_another_client_can_be_neither_seen_nor_begun(acting: Client, client2: Client) -> None:
    with tenancy.acting_for(client2):
        firing.enqueue("test.steps", now=NOW)
        TaskRun.objects.update(state="failed", note="Not for you.")
        other = TaskRun.objects.get()
    admin = browser(acting, Role.ADMIN)
    assert "Not for you." not in admin.get(LIST).content.decode()
    ask(admin, other, confirmed="yes")
    with tenancy.acting_for(client2):
        assert TaskRun.objects.get().state == "failed"


def test_runs_are_found_by_the_name_of_their_account(acting: Client, run: TaskRun) -> None:
    account = Account.objects.create(channel="amazon", code="eu", name="Amazon Europe", external_id="A1")
    TaskRun.objects.filter(pk=run.pk).update(account_id=account.pk)
    admin = browser(acting, Role.ADMIN)
    assert "Amazon Europe" in admin.get(LIST).content.decode()
    found = [
        admin.get(f"{LIST}?{query}").content.decode().count("left alone")
        for query in (f"account={account.pk}", "account=0", "account=x", "task=test.steps", "task=test.fails")
    ]
    assert found == [1, 0, 0, 1, 0]
