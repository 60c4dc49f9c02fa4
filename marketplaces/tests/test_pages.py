"""The monitor shows what can be trusted, its buttons do what they say, and raw documents hide buyers."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.core.models import Client, Membership, TaskRun, User
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from marketplaces.models import Account, Quarantined, RawDocument, Stream
from marketplaces.port import RawPage
from marketplaces.registry import connectors
from marketplaces.services import raw, streams
from marketplaces.tests.conftest import toy_account

HOME = "/c/dom-ventas"
SHEET = "order\tamount\n" + "".join(f"A-{number}\t{number}.00\n" for number in range(2, 102))


def browser(client: Client, role: Role) -> Browser:
    """Somebody in that role."""
    user, _ = User.objects.get_or_create(email=f"{role}@example.com")
    Membership.objects.get_or_create(user=user, client=client, defaults={"role": role})
    found = Browser()
    found.force_login(user)
    return found


@pytest.fixture
def admin(client_of: Client) -> Browser:
    """The client's administrator, who may steer connections."""
    return browser(client_of, Role.ADMIN)


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer
    return answer.content.decode()


def told(account: Account, flow: str, **values: Any) -> Stream:
    """The stream, in that state."""
    Stream.objects.filter(account=account, flow=flow).update(**values)
    return Stream.objects.get(account=account, flow=flow)


def archived(account: Account, flow: str, body: bytes, content_type: str = "application/json") -> int:
    page = RawPage(body=body, content_type=content_type, name="the page")
    return raw.archive(account, flow, connectors["toy"].flows[flow], page, now=clock())


def test_a_house_without_accounts_is_told_how_to_connect_one(toy: Any, admin: Browser) -> None:
    page = text(admin.get(f"{HOME}/system/monitor/"))
    assert "No account is connected yet" in page
    assert "No marketplace is connected yet" in page, "the trust line says it too"


def test_each_cell_says_how_old_its_data_is_and_what_is_wrong(account: Account, admin: Browser) -> None:
    now = clock()
    told(account, "orders", complete_until=now - timedelta(hours=3, minutes=5), last_error="Too many requests.")
    told(account, "offers", complete_until=now - timedelta(minutes=20))
    make(Quarantined, account=account, flow="orders")
    page = text(admin.get(f"{HOME}/system/monitor/"))
    assert "toy-1 Orders: late, " in page
    assert "toy-1 Offers: fresh, " in page
    assert "1 in quarantine" in page and "Too many requests." in page
    assert "Orders complete up to" in page
    only = text(admin.get(f"{HOME}/system/monitor/?state=fresh"))
    assert "toy-1 Offers: fresh, " in only and "toy-1 Orders: late, " not in only


def test_the_rows_come_as_csv_with_the_same_filters(account: Account, admin: Browser) -> None:
    page = admin.get(f"{HOME}/system/monitor/?flow=orders&format=csv")
    head, row = page.content.decode().splitlines()
    assert head.startswith("account,channel,flow,health")
    assert row.startswith("toy-1,toy,orders,never")


def test_a_stream_is_paused_resumed_and_read_again_by_its_buttons(account: Account, admin: Browser) -> None:
    stream = told(account, "orders", complete_until=clock())

    def step(name: str, **more: str) -> str:
        data = {"step": name, "_client": "dom-ventas", **more}
        return text(admin.post(f"{HOME}/system/monitor/{stream.pk}/", data, follow=True))

    assert "Paused: nothing is read" in step("pause")
    assert Stream.objects.get(pk=stream.pk).is_paused
    assert "Resumed: what was missed" in step("resume")
    assert not Stream.objects.get(pk=stream.pk).is_paused
    assert "Say from which day on" in step("reread")
    assert "Everything since 2026-11-01 is asked for again" in step("reread", since="2026-11-01")


def test_who_only_reads_sees_no_buttons_and_is_refused(account: Account, client_of: Client) -> None:
    stream = streams.ensure(account)[0]
    manager = browser(client_of, Role.MANAGER)
    assert "Read again from" not in text(manager.get(f"{HOME}/system/monitor/?stream={stream.pk}"))
    answer = manager.post(f"{HOME}/system/monitor/{stream.pk}/", {"step": "pause", "_client": "dom-ventas"})
    assert answer.status_code == 403
    assert not Stream.objects.get(pk=stream.pk).is_paused
    assert TaskRun.objects.count() == 0


def test_a_stream_of_another_client_is_not_there(account: Account, client_of: Client) -> None:
    other = Client.objects.create(slug="other-house", name="Other House")
    with acting_for(other):
        document = make(RawDocument)
        stream = make(Stream)
    admin = browser(client_of, Role.ADMIN)
    assert admin.get(f"{HOME}/system/monitor/?stream={stream.pk}").status_code == 404
    assert admin.get(f"{HOME}/system/raw/{document.pk}/").status_code == 404
    assert admin.get(f"{HOME}/system/raw/{document.pk}/file/").status_code == 404


@pytest.mark.parametrize("odd", ["stream=x", "stream=999999999"])
def test_an_old_link_to_a_stream_is_not_found_instead_of_failing(account: Account, admin: Browser, odd: str) -> None:
    assert admin.get(f"{HOME}/system/monitor/?{odd}").status_code == 404


def test_more_accounts_and_rows_do_not_cost_more_queries(toy: Any, admin: Browser) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as caught:
            text(admin.get(f"{HOME}{path}"))
        return len(caught)

    first = [toy_account(f"a-{number}") for number in range(2)]
    stream = told(first[0], "orders", complete_until=clock())
    path = f"/system/monitor/?stream={stream.pk}"
    for number in range(2):
        archived(first[0], "orders", json.dumps({"orders": [], "n": number}).encode())
        make(Quarantined, account=first[0], flow="orders")
    queries(path)
    few = queries(path)
    for number in range(18):
        toy_account(f"b-{number}")
        archived(first[0], "orders", json.dumps({"orders": [], "more": number}).encode())
        make(Quarantined, account=first[0], flow="orders")
    assert queries(path) == few


def test_a_file_opens_around_the_row_in_question_and_marks_it(account: Account, admin: Browser) -> None:
    pk = archived(account, "offers", SHEET.encode(), "text/tab-separated-values")
    page = text(admin.get(f"{HOME}/system/raw/{pk}/?row=50"))
    assert "<mark>50</mark>" in page and "A-50" in page and "Lines 30 to 70 of 101" in page
    assert "A-20<" not in page and "A-90<" not in page
    assert "Lines 2 to 42 of 101" in text(admin.get(f"{HOME}/system/raw/{pk}/?row=9999"))


def test_buyers_are_blanked_for_everybody_and_some_are_led_to_the_form(
    account: Account, client_of: Client, admin: Browser
) -> None:
    order = {"id": "T-1", "price": 19.90, "buyer": {"name": "Mara Muster"}}
    pk = archived(account, "orders", json.dumps({"orders": [order]}).encode())
    ops = browser(client_of, Role.OPS)
    form = f"{HOME}/admin/marketplaces/rawdocument/{pk}/reveal/"
    assert form in text(ops.get(f"{HOME}/system/raw/{pk}/"))
    assert form not in text(admin.get(f"{HOME}/system/raw/{pk}/"))
    for path in (f"/system/raw/{pk}/", f"/system/raw/{pk}/?row=1", f"/system/raw/{pk}/file/"):
        for page in (text(who.get(f"{HOME}{path}")) for who in (admin, ops)):
            assert "Mara Muster" not in page and "T-1" in page
    assert "Personal data of buyers is blanked" in text(admin.get(f"{HOME}/system/raw/{pk}/"))


def test_a_file_with_buyers_that_cannot_be_told_apart_stays_closed(account: Account, admin: Browser) -> None:
    pk = archived(account, "orders", b"name\ttown\nMara Muster\tHamburg\n", "text/tab-separated-values")
    page = text(admin.get(f"{HOME}/system/raw/{pk}/"))
    assert "cannot be told apart" in page and "Muster" not in page
    assert admin.get(f"{HOME}/system/raw/{pk}/file/").status_code == 404


def test_a_damaged_document_says_so_on_its_page_and_in_its_list(account: Account, admin: Browser) -> None:
    raw_id = archived(account, "offers", SHEET.encode(), "text/tab-separated-values")
    document = RawDocument.objects.get(pk=raw_id)
    RawDocument.objects.filter(pk=raw_id).update(body=bytes(document.body)[:-9])
    for address in (f"{HOME}/system/raw/{raw_id}/", f"{HOME}/admin/marketplaces/rawdocument/{raw_id}/change/"):
        assert "are damaged" in text(admin.get(address))
