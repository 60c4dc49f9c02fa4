"""The API as a machine meets it: tokens, scopes, pace, keys, cursors, versions, problems; and one client only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.conf import settings as site
from django.db import connection, connections
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now as clock

from domventas.api import router
from domventas.core import retention, tenancy
from domventas.core.api import pace, scopes, tokens
from domventas.core.errors import Refused
from domventas.core.models import ApiReply, ApiToken, Client
from domventas.core.roles import Role
from domventas.tests.filler import make
from domventas.tests.walk import signed_in
from marketplaces.models import Account
from orders.models import Order, OrderLine
from tickets.models import Ticket, TicketEvent

Ask = Callable[..., Any]
ALL = sorted(scopes.SCOPES)


def asks(client: Client, *may: str, **options: Any) -> Ask:
    """A machine with a token of its own."""
    _token, text = tokens.issue(client, name="test", scopes=may or ALL, by="test", now=clock(), **options)
    browser = Browser(headers={"Authorization": f"Bearer {text}"})

    def ask(path: str, body: Any = None, **headers: str) -> Any:
        if body is None:
            return browser.get(f"/api/v1/{path}", headers=headers)
        return browser.post(f"/api/v1/{path}", body, content_type="application/json", headers=headers)

    return ask


@pytest.fixture
def ask(client_dv: Client) -> Ask:
    return asks(client_dv)


def make_ticket(client: Client, number: int = 7) -> Ticket:
    with tenancy.acting_for(client, actor="test"):
        return make(Ticket, number=number, state="open", type="payment_discrepancy", severity="S2")


def problem_of(reply: Any, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.content
    assert reply["Content-Type"] == "application/problem+json"
    body = reply.json()
    assert body["status"] == status and body["request_id"] == reply["X-Request-Id"]
    return dict(body)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer nonsense", "Basic eDp5", "Bearer dv_aaaaaaaaaaaa_" + "x" * 43]
)
def test_without_a_good_token_nobody_learns_anything(header: str, client_dv: Client) -> None:
    for path in ("orders", "orders/1", "nowhere"):
        problem_of(Browser(headers={"Authorization": header}).get(f"/api/v1/{path}"), 401)


def test_a_token_ends_when_it_runs_out_is_revoked_or_its_client_is_closed(client_dv: Client) -> None:
    soon = asks(client_dv, expires_at=clock() + timedelta(hours=1))
    assert soon("me").json()["client"] == "dom-ventas"
    ApiToken.objects.update(expires_at=clock() - timedelta(seconds=1))
    problem_of(soon("me"), 401)
    other = asks(client_dv)
    assert tokens.revoke(ApiToken.objects.all(), now=clock()) == 2
    problem_of(other("me"), 401)
    third = asks(client_dv)
    Client.objects.update(active=False)
    problem_of(third("me"), 401)


def test_only_a_hash_of_a_token_is_kept(client_dv: Client) -> None:
    token, text = tokens.issue(client_dv, name="x", scopes=["orders:read"], by="ana", now=clock())
    secret = text.split("_", 2)[2]  # a secret may hold underscores
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM core_apitoken t WHERE id = %s", [token.pk])
        assert secret not in cursor.fetchone()[0]
    with pytest.raises(Refused):
        tokens.issue(client_dv, name="x", scopes=["orders:fly"], by="ana", now=clock())


def test_no_scope_outgrows_the_service_role() -> None:
    assert all(scopes.granted(scope) for scope in scopes.SCOPES)
    assert not scopes.granted("finance:write") and not scopes.granted("people:read")


def test_every_route_wants_its_scope(client_dv: Client) -> None:
    """Reading wants the area's reading, acting its writing; new routes come in by themselves."""
    for _prefix, views, name in router().registry:
        scope = f"{views.area}:read"
        assert scope in scopes.SCOPES, f"{name} has no area"
        assert asks(client_dv, scope)(name).status_code == 200
        others = [one for one in ALL if one != scope]
        problem_of(asks(client_dv, *others)(name), 403)
        for action in views.get_extra_actions():
            path = f"{name}/1/{action.url_path}"
            problem_of(asks(client_dv, *[one for one in ALL if one != f"{views.area}:write"])(path, {}), 403)


def test_another_clients_rows_are_not_there(client_dv: Client, client2: Client) -> None:
    """Every route by id, every list, every action, with rows of every kind on the other side."""
    mine = asks(client_dv)
    seen = 0
    for _prefix, views, name in router().registry:
        if getattr(views, "queryset", None) is None:
            continue
        with tenancy.acting_for(client2, actor="test"):
            row = make(views.queryset.model)
        key = getattr(row, getattr(views, "lookup_field", "pk"))
        problem_of(mine(f"{name}/{key}"), 404)
        assert mine(name).json()["results"] == []
        assert asks(client2)(f"{name}/{key}").status_code == 200, "the row is not there at all: nothing is proved"
        for action in views.get_extra_actions():
            problem_of(mine(f"{name}/{key}/{action.url_path}", {}), 404)
        seen += 1
    assert seen >= 9
    problem_of(mine("me", **{"X-Client": client2.slug}), 409)
    assert mine("me", **{"X-Client": client_dv.slug}).status_code == 200


def test_buyers_and_secrets_are_nowhere_in_what_machines_read(client_dv: Client) -> None:
    from drf_spectacular.generators import SchemaGenerator

    names = set()
    described = SchemaGenerator().get_schema(request=None, public=True)
    for schema in described["components"]["schemas"].values():
        names |= set(schema.get("properties", {}))
    assert len(names) > 80
    assert not {name for name in names if any(x in name for x in ("secret", "buyer", "address", "phone", "password"))}


def test_problems_name_the_field_and_bad_json_is_no_surprise(client_dv: Client, ask: Ask) -> None:
    number = make_ticket(client_dv).number
    body = problem_of(ask(f"tickets/{number}/resolve", {"how": "magic"}), 400)
    assert {error["field"] for error in body["errors"]} == {"how", "reason"}
    problem_of(ask(f"tickets/{number}/resolve", "{not json"), 400)
    assert problem_of(ask("orders?cursor=abc"), 400)["errors"][0]["field"] == "cursor"
    assert problem_of(ask("orders?ordered_from=someday"), 400)["errors"][0]["field"] == "ordered_from"
    problem_of(ask("nowhere/at/all"), 404)
    problem_of(ask("orders", {}), 405)


def test_what_the_house_forbids_is_told_in_its_words(client_dv: Client, ask: Ask) -> None:
    number = make_ticket(client_dv).number
    assert ask(f"tickets/{number}/resolve", {"how": "fixed", "reason": "paid"}).json()["state"] == "resolved"
    assert (
        "closed already" in problem_of(ask(f"tickets/{number}/resolve", {"how": "fixed", "reason": "x"}), 422)["detail"]
    )
    with tenancy.acting_for(client_dv):
        assert TicketEvent.objects.get().actor.startswith("token:")


def test_pages_neither_skip_nor_repeat_while_rows_come_and_go(client_dv: Client, ask: Ask) -> None:
    with tenancy.acting_for(client_dv, actor="test"):
        account = make(Account)
        first = [make(Order, account=account).pk for _n in range(25)]
    seen, url = [], "orders?limit=10"
    while url:
        page = ask(url).json()
        seen += [row["id"] for row in page["results"]]
        url = (page["next"] or "").partition("/api/v1/")[2]
        with tenancy.acting_for(client_dv, actor="test"):
            make(Order, account=account)
            Order.objects.filter(pk=first[0]).delete()
    assert [pk for pk in seen if pk in first] == first and len(seen) == len(set(seen))


@pytest.mark.parametrize("path", ["orders", "listings", "receivables", "settlement-lines", "tickets", "discrepancies"])
def test_the_number_of_queries_does_not_grow_with_rows(path: str, client_dv: Client, ask: Ask) -> None:
    (model,) = [views.queryset.model for _p, views, name in router().registry if name == path]
    counts = []
    ask("me")  # notes the token's use, once a minute
    for more in (2, 18):
        with tenancy.acting_for(client_dv, actor="test"):
            for _n in range(more):
                row = make(model)
                if model is Order:
                    make(OrderLine, order=row)
        with CaptureQueriesContext(connection) as queries:
            assert ask(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_money_is_text_with_its_currency_and_unknown_is_null(client_dv: Client, ask: Ask) -> None:
    with tenancy.acting_for(client_dv, actor="test"):
        make(Order, stated_total="12.30", computed_total=None, currency="EUR")
    (row,) = ask("orders").json()["results"]
    assert row["stated_total"] == {"amount": "12.3000", "currency": "EUR"} and row["computed_total"] is None


def test_who_has_seen_an_older_state_changes_nothing(client_dv: Client, ask: Ask) -> None:
    path = f"tickets/{make_ticket(client_dv).number}"
    version = ask(path)["ETag"]
    moved = ask(f"{path}/resolve", {"how": "fixed", "reason": "a"}, **{"If-Match": version})
    assert moved.status_code == 200 and moved["ETag"] != version
    problem_of(ask(f"{path}/reopen", {"reason": "b"}, **{"If-Match": version}), 412)
    assert ask(f"{path}/reopen", {"reason": "b"}, **{"If-Match": moved["ETag"]}).status_code == 200


def test_a_key_does_a_thing_once_and_answers_alike(client_dv: Client, ask: Ask) -> None:
    path, body = f"tickets/{make_ticket(client_dv).number}/resolve", {"how": "fixed", "reason": "paid"}
    first, again = (ask(path, body, **{"Idempotency-Key": "k1"}) for _n in range(2))
    assert (first.status_code, again.status_code) == (200, 200) and first.json() == again.json()
    assert again["Idempotent-Replayed"] == "true"
    with tenancy.acting_for(client_dv):
        assert TicketEvent.objects.count() == 1
    problem_of(ask(path, {"how": "wrong", "reason": "no"}, **{"Idempotency-Key": "k1"}), 422)
    problem_of(ask(path, body, **{"Idempotency-Key": "x" * 256}), 400)


def test_what_failed_is_not_kept_under_its_key(client_dv: Client, ask: Ask) -> None:
    path = f"tickets/{make_ticket(client_dv).number}/resolve"
    problem_of(ask(path, {"how": "magic"}, **{"Idempotency-Key": "k1"}), 400)
    assert ask(path, {"how": "fixed", "reason": "paid"}, **{"Idempotency-Key": "k1"}).status_code == 200


def test_keys_are_a_clients_and_tokens_own_and_go_after_two_days(client_dv: Client, client2: Client) -> None:
    for client in (client_dv, client2):
        path = f"tickets/{make_ticket(client).number}/resolve"
        body = {"how": "fixed", "reason": "paid"}
        assert asks(client)(path, body, **{"Idempotency-Key": "k1"}).status_code == 200
    with tenancy.acting_for(client_dv):
        assert retention.forget(now=clock() + timedelta(hours=47))["core.ApiReply"] == 0
        assert retention.forget(now=clock() + timedelta(hours=49))["core.ApiReply"] == 1
    with tenancy.acting_for(client2):
        assert ApiReply.objects.count() == 1, "another client's rows go in its own run"


@pytest.mark.django_db(transaction=True)
def test_two_at_once_with_one_key_do_it_once() -> None:
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    path, body = f"tickets/{make_ticket(client).number}/resolve", {"how": "fixed", "reason": "paid"}
    ask, replies, gate = asks(client), [], threading.Barrier(4)

    def go() -> None:
        gate.wait()
        replies.append(ask(path, body, **{"Idempotency-Key": "k1"}))
        connections.close_all()

    threads = [threading.Thread(target=go) for _n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {reply.status_code for reply in replies} <= {200, 409}
    assert sum(reply.status_code == 200 for reply in replies) >= 1
    with tenancy.acting_for(client):
        assert TicketEvent.objects.count() == 1 and ApiReply.objects.count() == 1


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Five at once, and one a minute: none comes back while the test runs."""
    for name, value in (("PER_MINUTE", 1), ("BURST", 5), ("WRONG_PER_MINUTE", 1), ("WRONG_BURST", 5)):
        monkeypatch.setattr(pace, name, value)
    monkeypatch.setattr(pace.take, "__kwdefaults__", {"per_minute": 1, "burst": 5})
    redis.Redis.from_url(site.REDIS_URL).delete("api:wrong:127.0.0.1")
    yield
    redis.Redis.from_url(site.REDIS_URL).delete("api:wrong:127.0.0.1")


def test_too_many_are_told_when_to_come_back_and_nobody_else_suffers(client_dv: Client, small_budget: None) -> None:
    ask, other = asks(client_dv), asks(client_dv)
    replies = [ask("me") for _n in range(6)]
    assert [reply.status_code for reply in replies] == [200] * 5 + [429]
    assert [int(reply["RateLimit-Remaining"]) for reply in replies[:5]] == [4, 3, 2, 1, 0]
    problem_of(replies[5], 429)
    assert 30 < int(replies[5]["Retry-After"]) <= 60
    assert other("me").status_code == 200


def test_guessing_tokens_is_slowed_down_by_address(client_dv: Client, small_budget: None) -> None:
    guesses = [Browser(headers={"Authorization": "Bearer guess"}).get("/api/v1/me").status_code for _n in range(7)]
    assert guesses == [401] * 5 + [429] * 2
    assert asks(client_dv)("me").status_code == 200, "who has a token is not held up by others"


def test_behind_a_proxy_one_guesser_does_not_speak_for_all(
    client_dv: Client, small_budget: None, settings: Any
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    def guess(address: str) -> int:
        seen = {"Authorization": "Bearer guess", "X-Forwarded-For": f"1.1.1.1, {address}"}
        return int(Browser(headers=seen).get("/api/v1/me").status_code)

    here, there = (f"10.0.{client_dv.pk % 250}.{n}" for n in (1, 2))
    for address in (here, there):
        redis.Redis.from_url(site.REDIS_URL).delete(f"api:wrong:{address}")
    assert [guess(here) for _n in range(6)] == [401] * 5 + [429]
    assert guess(there) == 401


def test_without_valkey_the_api_goes_on(client_dv: Client, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock?db=0"
    assert asks(client_dv)("me").status_code == 200


def test_an_administrator_makes_a_token_sees_it_once_and_revokes_it(client_dv: Client, client2: Client) -> None:
    tokens.issue(client2, name="theirs", scopes=ALL, by="x", now=clock())
    browser = signed_in(client_dv, Role.ADMIN)
    base = f"/c/{client_dv.slug}/admin/core/apitoken/"
    page = browser.post(f"{base}add/", {"name": "warehouse", "scopes": ["orders:read"], "_client": client_dv.slug})
    assert page.status_code == 200 and "no-store" in page["Cache-Control"]
    text = page.content.decode().partition('value="dv_')[2].partition('"')[0]
    secret = text.partition("_")[2]
    assert len(secret) > 40
    assert Browser(headers={"Authorization": f"Bearer dv_{text}"}).get("/api/v1/me").json()["name"] == "warehouse"
    shown = browser.get(base).content.decode()
    assert "warehouse" in shown and "theirs" not in shown and secret not in shown
    token = ApiToken.objects.get(name="warehouse")
    assert browser.get(f"{base}{ApiToken.objects.get(name='theirs').pk}/change/").status_code == 302
    browser.post(base, {"action": "revoke", "_selected_action": [token.pk], "_client": client_dv.slug})
    token.refresh_from_db()
    assert token.revoked_at is not None


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMIN])
def test_nobody_else_sees_or_makes_tokens(role: Role, client_dv: Client) -> None:
    browser = signed_in(client_dv, role)
    for page in ("", "add/"):
        assert browser.get(f"/c/{client_dv.slug}/admin/core/apitoken/{page}").status_code == 403
