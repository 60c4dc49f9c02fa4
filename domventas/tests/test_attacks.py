"""What attackers try, on every page, file and action there is: nothing of it may succeed."""

from __future__ import annotations

import csv
import io
import threading
import zlib
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client as Browser
from django.test import RequestFactory
from django.urls import reverse

from domventas.core import people, sheets, tenancy
from domventas.core.errors import DomventasError
from domventas.core.models import Client, ClientModel, Membership, User
from domventas.core.roles import Role, may
from domventas.tests.filler import make
from domventas.tests.poison import MARK, PAYLOADS, SHARED, SHORT, attacks, cut, house, poisoned, runs, texts
from domventas.tests.walk import admins, label, pages, signed_in, writable
from marketplaces.errors import BorderError
from marketplaces.http import HttpClient
from marketplaces.models import Account
from marketplaces.throttle import LocalLimiter


def test_the_reader_sees_an_attack_that_stands_as_it_is() -> None:
    """Else the walks below could not fail."""
    seen = [payload for payload in PAYLOADS if runs(f'<p title="x">{payload}</p>')]
    assert len(seen) >= 17
    for short in SHORT:
        here = (f"<p>{short}</p>", f'<p title="{short}">x</p>', f"<p title='{short}'>x</p>")
        assert short in "\"'<" or any(runs(page) for page in here), short
        assert not any(runs(f"<p title={quote}{escape(short)}{quote}>{escape(short)}</p>") for quote in "\"'")
    assert runs(f'<a href="{PAYLOADS[4]}">x</a>') and not runs(f"<p>{escape(PAYLOADS[1])}</p>")


@pytest.mark.parametrize("model", admins(), ids=label)
def test_no_text_of_the_outside_becomes_part_of_an_admin_page(model: type[ClientModel], client_dv: Client) -> None:
    browser = signed_in(client_dv, next(role for role in (Role.ADMIN, *Role) if may(role, "view", label(model))))
    with tenancy.acting_for(client_dv):
        one = poisoned(model, attacks())
        other = poisoned(model, attacks(7), choices=True) if any(f.choices for f in model._meta.fields) else one
    base = f"/c/{client_dv.slug}{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}"
    for path in (
        base, f"{base}{one.pk}/change/", f"{base}{other.pk}/change/", f"{base}?q={PAYLOADS[0]}",
        f"{base}{one.pk}/history/",
    ):  # fmt: skip
        page = browser.get(path).content.decode(errors="replace")
        assert runs(page) == [], path


@pytest.mark.parametrize("choices", [False, True], ids=["texts", "choices"])
def test_no_text_of_the_outside_becomes_part_of_a_report_page(choices: bool, client_dv: Client) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    with tenancy.acting_for(client_dv):
        rows = house(choices=choices)
    for model in (*SHARED, Membership):
        base = f"/c/{client_dv.slug}{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}"
        assert runs(browser.get(base).content.decode()) == [], base
    opened = 0
    for name, url in pages():
        for pk in {getattr(row, "number", row.pk) for row in rows.values()} if url.pattern.converters else {0}:
            path = f"/c/{client_dv.slug}{reverse(name, kwargs=dict.fromkeys(url.pattern.converters, pk))}"
            reply = browser.get(path, {"q": PAYLOADS[1], "account": PAYLOADS[2]})
            if reply.status_code == 200 and "html" in reply["Content-Type"]:
                opened += 1
                assert runs(reply.content.decode()) == [], path
    assert opened >= 12


#: Columns that keep a plain value, and the constraint that refuses all others; a new one has to be named here.
REFUSED = {"core.CalendarDay.country": "core_calendarday_country_check"}


def test_every_text_but_these_holds_an_attack(client_dv: Client) -> None:
    refused: dict[str, str] = {}
    tables: list[Any] = [*writable(), *SHARED]
    with tenancy.acting_for(client_dv):
        for number, model in enumerate(tables):
            row = poisoned(model, attacks(number), {Client: client_dv}, choices=True, refused=refused)
            held = model._base_manager.get(pk=row.pk)
            for name in texts(model):
                value = getattr(held, name)
                told = zlib.decompress(value).decode() if isinstance(value, bytes | memoryview) else str(value)
                is_hostile = MARK in told or any(one in told for one in ("<", '"', "'", "evil.example"))
                assert is_hostile != (f"{label(model)}.{name}" in refused), f"{label(model)}.{name}: {told}"
    assert refused == REFUSED
    assert sum(len(texts(model)) for model in tables) > 300


FORMULAS = [
    first + rest
    for first in ("=", "+", "-", "@", "\t=", "\r=", "\n=", "\uff1d", "\uff0b", "\uff20", " =", "\u00a0=")
    for rest in ("cmd|' /C calc'!A0", "1+1", 'HYPERLINK("http://evil.example","x")', "SUM(1)")
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_becomes_a_formula_and_a_round_trip_changes_none(text: str) -> None:
    rows = list(csv.reader(io.StringIO(sheets.as_csv("x", ["a"], [[text]]).content.decode(), newline="")))
    assert rows[1][0] == f"'{text}" and sheets.plain(rows[1][0]) == text


@pytest.mark.parametrize("value", [-12, "12.50", "", "it's", "'quoted'", "A-1"])
def test_figures_and_plain_words_stay_as_they_are(value: Any) -> None:
    assert sheets.cell(value) == value and sheets.plain(str(value)) == str(value)


def test_every_file_of_a_page_is_safe_to_open(client_dv: Client) -> None:
    """All CSV pages, with formulas in every text of every table."""
    browser = signed_in(client_dv, Role.ADMIN)
    with tenancy.acting_for(client_dv):
        rows, text = {Account: make(Account)}, cut(["=cmd|' /C calc'!A0 and some more words", "+1+1 and more words"])
        for model in admins():
            poisoned(model, text, rows)
    files = 0
    for name, url in pages():
        if url.pattern.converters:
            continue
        reply = browser.get(f"/c/{client_dv.slug}{reverse(name)}", {"format": "csv"})
        if reply.status_code == 200 and reply["Content-Type"].startswith("text/csv"):
            files += 1
            for row in csv.reader(io.StringIO(reply.content.decode(), newline="")):
                assert not [one for one in row if one[:1] in "=+@\t\r" and one], f"{name}: {row}"
    assert files >= 4


class Canary(BaseHTTPRequestHandler):
    """Whoever reaches it has got out."""

    reached: list[str] = []

    def do_GET(self) -> None:  # http.server's name
        Canary.reached.append(self.path)
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *args: Any) -> None:
        """Quietly."""


@pytest.fixture
def canary() -> Iterator[int]:
    Canary.reached = []
    server = HTTPServer(("127.0.0.1", 0), Canary)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def test_no_address_a_marketplace_could_name_leads_elsewhere(canary: int) -> None:
    p = canary
    urls = [
        f"http://127.0.0.1:{p}/", f"http://localhost:{p}/", f"http://2130706433:{p}/", f"http://0x7f000001:{p}/",
        f"http://0177.0.0.1:{p}/", f"http://127.1:{p}/", f"http://[::1]:{p}/", f"http://[::ffff:127.0.0.1]:{p}/",
        f"http://0.0.0.0:{p}/", f"http://0:{p}/", f"https://api.example.com@127.0.0.1:{p}/",
        f"http://api.example.com:443@127.0.0.1:{p}/", f"https://api.example.com#@127.0.0.1:{p}/",
        f"https://127.0.0.1:{p}/?api.example.com", f"http://127.0.0.1:{p}\\@api.example.com/",
        f"http://api.example.com.127.0.0.1.nip.io:{p}/", f"http://127.0.0.1%09:{p}/", f"http://127.0.0.1\t:{p}/",
        f"http://127.0.0.1\r\nHost: api.example.com:{p}/", "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
        f"//127.0.0.1:{p}/", f"http:127.0.0.1:{p}/", f"HTTP://127.0.0.1:{p}/", "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/", f"http://①②⑦.0.0.1:{p}/", f"https://api.example.com.:{p}/",
        f"https://api.example.com:{p}/", "http://api.example.com/", f"https://xapi.example.com:{p}/", "",
    ]  # fmt: skip
    client = HttpClient(
        account="1:1", hosts=["https://api.example.com"], limits={}, limiter=LocalLimiter(), deadline=2, patience=0
    )
    for url in urls:
        with pytest.raises((BorderError, ValueError)):
            client.request("GET", url, operation="x")
    assert Canary.reached == []


def test_no_action_of_any_list_works_for_those_who_may_only_read(client_dv: Client) -> None:
    role, tried = Role.AUDITOR, 0
    browser = signed_in(client_dv, role)
    person = User.objects.get(email=f"{role}@example.com")
    for model in admins():
        with tenancy.acting_for(client_dv):
            row = make(model)
        site = admin.site._registry[model]
        base = f"/c/{client_dv.slug}{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}"
        for name in [*(site.actions or ()), "delete_selected"]:
            key = name if isinstance(name, str) else name.__name__
            before = values(client_dv, row)
            reply = browser.post(
                base, {"action": key, "_selected_action": [row.pk], "post": "yes", "_client": client_dv.slug}
            )
            assert reply.status_code in (200, 302, 403)
            assert values(client_dv, row) == before, f"{role} changed {label(model)} by {key}"
            tried += 1
    assert tried > 60
    assert Membership.objects.get(user=person).role == role


def values(client: Client, row: Any) -> Any:
    """The row as it stands."""
    with tenancy.acting_for(client):
        found = type(row)._base_manager.filter(pk=row.pk).values().first()
    return {name: getattr(value, "token", value) for name, value in (found or {}).items()}


def test_every_action_names_the_right_it_needs(client_dv: Client) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_user("nobody@example.com", "a long password")
    with tenancy.acting_for(client_dv):
        open_to_all = {label(model): sorted(admin.site._registry[model].get_actions(request)) for model in admins()}
    assert not {name: actions for name, actions in open_to_all.items() if actions}


# ── rights ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def other_house(client2: Client) -> Membership:
    user = User.objects.create_user("theirs@example.com", "a long password")
    return Membership.objects.create(user=user, client=client2, role=Role.FINANCE)


def rights(browser: Browser, path: str, ours: Client, **given: Any) -> Any:
    base = f"/c/{ours.slug}/admin/core/membership/{path}"
    return browser.post(base, {**given, "_client": ours.slug}) if given else browser.get(base)


def test_an_administrator_sees_and_changes_his_own_clients_people_only(
    client_dv: Client, client2: Client, other_house: Membership
) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    listed = rights(browser, "", client_dv).content.decode()
    assert "admin@example.com" in listed and "theirs@example.com" not in listed
    for page in ("change/", "delete/", "history/"):
        assert rights(browser, f"{other_house.pk}/{page}", client_dv).status_code == 302
    rights(browser, f"{other_house.pk}/change/", client_dv, role="admin", brands="")
    other_house.refresh_from_db()
    assert other_house.role == Role.FINANCE


def test_nobody_grants_himself_another_client_or_another_role(
    client_dv: Client, client2: Client, other_house: Membership
) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    me = User.objects.get(email="admin@example.com")
    rights(browser, "add/", client_dv, email=me.email, role="finance", brands="", client=client2.pk, user=me.pk)
    mine = Membership.objects.get(user=me)
    assert (mine.client, mine.role) == (client_dv, Role.ADMIN)
    for path, given in (
        (f"{mine.pk}/change/", {"role": "finance", "brands": ""}),
        (f"{mine.pk}/delete/", {"post": "yes"}),
    ):
        assert rights(browser, path, client_dv, **given).status_code in (302, 403)
    mine.refresh_from_db()
    assert mine.role == Role.ADMIN


def test_an_administrator_grants_changes_and_withdraws_rights(client_dv: Client, other_house: Membership) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    assert rights(browser, "add/", client_dv, email="THEIRS@example.com", role="ops", brands="").status_code == 302
    made = Membership.objects.get(user=other_house.user, client=client_dv)
    assert made.role == Role.OPS
    assert rights(browser, f"{made.pk}/change/", client_dv, role="warehouse", brands="").status_code == 302
    made.refresh_from_db()
    assert made.role == Role.WAREHOUSE
    assert (
        "Nobody signs in"
        in rights(browser, "add/", client_dv, email="new@example.com", role="ops", brands="").content.decode()
    )
    rights(browser, f"{made.pk}/delete/", client_dv, post="yes")
    assert not Membership.objects.filter(pk=made.pk).exists() and other_house.user.memberships.count() == 1


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.ADMIN, Role.AUDITOR)])
def test_people_are_no_business_of_other_roles(role: Role, client_dv: Client) -> None:
    browser = signed_in(client_dv, role)
    for page in ("membership/", "membership/add/", "user/", "client/"):
        assert browser.get(f"/c/{client_dv.slug}/admin/core/{page}").status_code == 403


def test_the_service_refuses_another_clients_row_whoever_asks(client_dv: Client, other_house: Membership) -> None:
    ana = User.objects.create_user("ana@example.com", "a long password")
    with tenancy.acting_for(client_dv):
        for step in (
            lambda: people.change(other_house, role="admin", by=ana),
            lambda: people.withdraw(other_house, by=ana),
        ):
            with pytest.raises(DomventasError):
                step()
