"""Every place a detector may name has an address, and the ticket's page leads there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.utils.timezone import now as clock

from domventas.core.models import Client
from domventas.core.roles import Role
from domventas.tests.filler import make
from domventas.tests.walk import signed_in
from marketplaces.models import Account
from tickets import detectors
from tickets.models import Finding, Ticket
from tickets.pages.places import PLACES, place_of


@pytest.mark.parametrize("where", PLACES)
def test_a_place_has_an_address(where: str) -> None:
    row = 5 if where in ("order", "account") else None
    found = place_of({"where": where, "where_row": row, "where_only": {"q": "A & B"}}, bool)
    assert found is not None and found[1].endswith("?q=A+%26+B") and ("5" in found[1]) == bool(row)


def test_detectors_name_known_places_only() -> None:
    code = "".join(path.read_text("utf-8") for path in Path(detectors.__path__[0]).rglob("*.py"))
    named = set(re.findall(r'where(?:": |=|: str = )"(\w+)"', code))
    assert named and named <= set(PLACES)
    assert place_of({}, bool) is None and place_of({"where": "nowhere"}, bool) is None


def test_who_may_not_look_at_a_place_is_told_its_name_only() -> None:
    assert place_of({"where": "settlements"}, lambda right: right != "finance.view_settlement") == ("Settlements", "")


def test_the_ticket_leads_to_where_it_is_put_right(acting: Client) -> None:
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")
    ticket = make(
        Ticket, type="technical_issue", number=7, state="open", account=account, opened_at=clock(), amounts={}
    )
    only = {"account__id__exact": account.pk, "state__exact": "unknown"}
    make(Finding, type="technical_issue", ticket=ticket, state="open", cause="Of 3 nobody knows.",
         refs={"where": "commands", "where_only": only})  # fmt: skip
    page = signed_in(acting, Role.OPS).get("/c/dom-ventas/tickets/7/", follow=True).content.decode()
    at = f"/c/dom-ventas/admin/marketplaces/outboxcommand/?account__id__exact={account.pk}&amp;state__exact=unknown"
    assert "Of 3 nobody knows." in page, "each child says what is wrong with it"
    (at,) = re.findall(r'href="([^"]+)">All commands', page)
    assert at.startswith("/c/dom-ventas/admin/marketplaces/outboxcommand/?")
    assert "state__exact=unknown" in at and f"account__id__exact={account.pk}" in at


def test_lists_take_the_filters_detectors_give_them(acting: Client) -> None:
    who = signed_in(acting, Role.ADMIN)
    state, of = {"state__exact": "failed"}, {"account__id__exact": 5}
    given: list[tuple[str, dict[str, object]]] = [
        ("parcels", {"q": "O1"}), ("commands", {**state, **of}), ("events", {**state, **of}), ("inlets", {**of}),
        ("runs", {"task": "platform.audit.seal"}), ("runs", {"state__exact": "quarantined"}), ("pushes", {}),
        ("monitor", {}), ("quarantine", {}), ("drift", {}), ("settlements", {}),
    ]  # fmt: skip
    for where, only in given:
        found = place_of({"where": where, "where_only": only}, bool)
        assert found is not None
        answer = who.get(f"/c/dom-ventas{found[1]}")
        assert answer.status_code == 200 and "e=1" not in answer.request["QUERY_STRING"], where
