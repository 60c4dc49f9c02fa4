"""Whom a page sends people to for what they may not do themselves."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils.html import strip_tags

from domventas.core import roles
from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for
from domventas.core.whomay import WhoMay, who_may

SHIP = "orders.add_shipment"


def member(client: Client, name: str, role: str, *, is_active: bool = True) -> User:
    person = User.objects.create_user(f"{name}@example.com", "pw", name=name, is_active=is_active)
    Membership.objects.create(user=person, client=client, role=role)
    return person


def asked(person: User, client: Client, right: str = SHIP) -> WhoMay | None:
    request = RequestFactory().get("/")
    request.user = person
    with acting_for(client):
        return who_may(request, right, "Confirming a parcel")


def sentence(who: Any) -> str:
    return " ".join(strip_tags(render_to_string("pages/partials/_who_may.html", {"who": who})).split())


def test_the_roles_are_those_of_the_table_and_a_program_is_nobody_to_ask() -> None:
    assert roles.holders("add", "orders.shipment") == [Role.OPS, Role.WAREHOUSE]
    assert roles.holders("change", "catalog.unmappeditem") == [Role.CATALOG]


def test_people_of_this_client_who_can_sign_in_are_named_up_to_four(client_dv: Client, client2: Client) -> None:
    asker = member(client_dv, "asker", Role.AUDITOR)
    assert "Nobody here has it yet. An administrator of this client gives it." in sentence(asked(asker, client_dv))
    for letter in "abcdef":
        member(client_dv, letter, Role.OPS)
    member(client_dv, "away", Role.WAREHOUSE, is_active=False)
    member(client2, "foreign", Role.OPS)
    assert "Here: a, b, c, d and 2 more." in sentence(asked(asker, client_dv))
    assert asked(User.objects.get(name="a"), client_dv) is None


def test_who_gives_rights_is_led_to_where_they_are_given(client_dv: Client) -> None:
    assert "give the role to others: People" in sentence(asked(member(client_dv, "boss", Role.ADMIN), client_dv))
