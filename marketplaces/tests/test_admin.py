"""The admin of marketplaces: accounts are set up and steered there, secrets and buyers stay hidden."""

from __future__ import annotations

import datetime as dt
from datetime import timedelta

import pytest
from django.test import Client as Browser

from domventas.core.models import Client, Membership, PiiAccess, TaskRun, User
from domventas.core.roles import Role
from marketplaces.models import Account, Credential, Quarantined, RawDocument, Site, Stream
from marketplaces.services.pull import pull_stream
from marketplaces.tests.support import NOW, Toy

AT = "/c/dom-ventas/admin/marketplaces/"


def browser(client: Client, role: Role) -> Browser:
    user = User.objects.create_user(f"{role}@example.com", "correct horse battery")
    Membership.objects.create(user=user, client=client, role=role)
    found = Browser(headers={"X-Client": "dom-ventas"})
    found.force_login(user)
    return found


@pytest.fixture
def admin(client_of: Client) -> Browser:
    return browser(client_of, Role.ADMIN)


def act(who: Browser, model: str, action: str, *rows):
    given = {"action": action, "_selected_action": [row.pk for row in rows], "client": "dom-ventas"}
    return who.post(f"{AT}{model}/", given, follow=True)


def test_an_account_is_made_with_its_secrets_and_never_shows_them(toy: Toy, admin: Browser):
    site = Site.objects.get(code="toy.example")
    form = {
        "name": "Toy one", "code": "toy-9", "channel": "toy", "external_id": "T9", "environment": "sandbox",
        "sites": [site.pk], "client": "dom-ventas", "streams-TOTAL_FORMS": "0", "streams-INITIAL_FORMS": "0",
    }  # fmt: skip
    refused = admin.post(f"{AT}account/add/", form)
    assert (refused.status_code, "needed to sign in" in refused.content.decode()) == (200, True)
    made = admin.post(f"{AT}account/add/", form | {"secret_toy_key": "s3cret-value-1"})
    assert made.status_code == 302
    account = Account.objects.get()
    assert Credential.objects.get(account=account).secrets == {"key": "s3cret-value-1"}
    page = admin.get(f"{AT}account/{account.pk}/change/").content.decode()
    assert "s3cret" not in page
    assert "Kept" in page
    changed = form | {"name": "Toy two"}
    assert admin.post(f"{AT}account/{account.pk}/change/", changed).status_code == 302
    account.refresh_from_db()
    assert (account.name, Credential.objects.get().secrets) == ("Toy two", {"key": "s3cret-value-1"})
    steps: list[tuple[dict[str, str], dt.date | None]] = [
        ({"expires_on": "2027-05-01"}, dt.date(2027, 5, 1)),
        ({"expires_on": "2027-05-01", "secret_toy_key": "s3cret-value-2"}, None),  # that day was the old one's
        ({"expires_on": "2028-05-01", "secret_toy_key": "s3cret-value-3"}, dt.date(2028, 5, 1)),
        ({"expires_on": ""}, None),
    ]
    for given, last_day in steps:
        assert admin.post(f"{AT}account/{account.pk}/change/", changed | given).status_code == 302
        assert Credential.objects.get().expires_on == last_day


@pytest.mark.parametrize(
    "model", ["account", "site", "stream", "syncwindow", "reportjob", "rawdocument", "quarantined", "schemadrift"]
)
def test_every_list_and_row_opens(toy: Toy, account: Account, admin: Browser, model: str):
    toy.fill(2)
    toy.mangle = lambda page: {**page, "orders": [{**o, "surprise": "new"} for o in page["orders"]]}
    pull_stream(account, "orders", now=NOW)
    pull_stream(account, "offers", now=NOW)
    answer = admin.get(f"{AT}{model}/")
    assert answer.status_code == 200
    row = answer.context["cl"].queryset.first()
    if row is not None:
        assert admin.get(f"{AT}{model}/{row.pk}/change/").status_code == 200


def test_buyers_in_raw_documents_are_masked_and_shown_for_a_reason(
    toy: Toy, account: Account, admin: Browser, client_of: Client
):
    toy.fill(1)
    pull_stream(account, "orders", now=NOW)
    document = RawDocument.objects.filter(size__gt=60).first()
    at = f"{AT}rawdocument/{document.pk}/"
    staff = browser(client_of, Role.OPS)
    for who in (admin, staff):
        masked = who.get(f"{at}change/").content.decode()
        assert ("T-000" in masked, "Buyer of" in masked) == (True, False)
    assert f"{at}reveal/" in staff.get(f"{at}change/").content.decode()
    assert "Buyer of" not in staff.get(f"{at}reveal/").content.decode()
    assert admin.post(f"{at}reveal/", {"reason": "curious about it"}).status_code == 403
    assert "Buyer of" not in staff.post(f"{at}reveal/", {"reason": "why"}).content.decode()
    assert not PiiAccess.objects.exists()
    shown = staff.post(f"{at}reveal/", {"reason": "the label was torn"})
    assert "Buyer of T-000" in shown.content.decode() and "no-store" in shown["Cache-Control"]
    taken = staff.post(f"{at}reveal/", {"reason": "the carrier asks for it", "file": "1"})
    assert b"Buyer of T-000" in taken.content and taken["Content-Disposition"].startswith("attachment")
    seen = PiiAccess.objects.order_by("pk").values_list("way", "actor", "model", "row", "reason")
    assert list(seen) == [
        ("shown", "ops@example.com", "marketplaces.RawDocument", document.pk, "the label was torn"),
        ("exported", "ops@example.com", "marketplaces.RawDocument", document.pk, "the carrier asks for it"),
    ]


def test_the_end_of_a_secret_is_text_in_the_forms_help(toy: Toy, account: Account, admin: Browser):
    """Django's admin draws help texts as they are."""
    Credential.objects.filter(account=account).update(fingerprint="<xss7>")
    shown = admin.get(f"/c/dom-ventas/admin/marketplaces/account/{account.pk}/change/").content.decode()
    assert "ends in …&lt;xss7&gt;" in shown and "<xss7>" not in shown
    shown = admin.get("/c/dom-ventas/admin/marketplaces/inlet/add/").content.decode()
    assert "sqs.&lt;region&gt;" in shown


@pytest.mark.parametrize("lookup", ["body__contains=a", "body__startswith=gAAA", "account__credentials__secrets=x"])
@pytest.mark.parametrize("model", ["rawdocument", "quarantined", "stream"])
def test_nothing_secret_is_guessed_through_the_address(toy: Toy, admin: Browser, model: str, lookup: str):
    answer = admin.get(f"{AT}{model}/?{lookup}")
    assert answer.status_code == 400 or "e=1" in answer.headers.get("Location", "")


def test_streams_are_steered_by_those_who_look_after_connections(
    toy: Toy, account: Account, admin: Browser, client_of: Client
):
    toy.fill(2)
    pull_stream(account, "orders", now=NOW)
    stream = Stream.objects.get(flow="orders")
    act(admin, "stream", "pause", stream)
    stream.refresh_from_db()
    assert stream.is_paused
    act(browser(client_of, Role.FINANCE), "stream", "resume", stream)
    stream.refresh_from_db()
    assert stream.is_paused
    act(admin, "stream", "resume", stream)
    act(admin, "stream", "run_now", stream)
    assert TaskRun.objects.get().task == "orders.pull.toy"


def test_the_connection_is_tested_in_words(toy: Toy, account: Account, admin: Browser):
    assert "Signed in." in act(admin, "account", "test_connection", account).content.decode()


def test_a_quarantined_record_is_tried_again(toy: Toy, account: Account, admin: Browser):
    toy.fill(2, every=timedelta(minutes=5))
    readable = toy.connector().flows["orders"].translate
    from marketplaces.records import Rejected
    from marketplaces.registry import connectors

    def picky(page):
        for item in readable(page):
            if getattr(item, "external_id", "") == "T-001":
                yield Rejected(path="orders[1]", reason="Not now.", excerpt=b"{}", external_id="T-001")
            else:
                yield item

    flow = connectors["toy"].flows["orders"]
    object.__setattr__(flow, "translate", picky)
    pull_stream(account, "orders", now=NOW)
    object.__setattr__(flow, "translate", readable)
    item = Quarantined.objects.get()
    assert item.resolved_at is None
    act(admin, "quarantined", "retry", item)
    item.refresh_from_db()
    assert item.resolved_at is not None
