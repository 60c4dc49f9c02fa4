"""Switching what may leave: seen by those who look after connections, changed by the administrator, asked before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.timezone import localtime
from django.utils.timezone import now as clock

from domventas.core.errors import Refused
from domventas.core.models import AuditEntry, Client, Membership, User
from domventas.core.roles import Role, may
from domventas.core.tenancy import acting_for
from domventas.core.times import zone
from marketplaces.models import Account, OutboxCommand, PushFlow
from marketplaces.services import outbox, push_flows
from marketplaces.tests.parcels import START, command

HOME = "/c/dom-ventas/system/pushes/"
FORM = {"_client": "dom-ventas"}


def browser(client: Client, role: str) -> Browser:
    user = User.objects.create_user(f"{role}@example.com", "a long password")
    Membership.objects.create(user=user, client=client, role=role)
    found = Browser()
    found.force_login(user)
    return found


@pytest.fixture
def shop(client_dv: Client) -> Account:
    """An Amazon account in shadow with one command formed."""
    with acting_for(client_dv, actor="test"):
        account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="A2")
        told = command()
        outbox.put(account, "shipments", told.ref, told, subject="Order O-1, parcel 1", now=START)
        return account


def change(staff: Browser, step: str, **more: str) -> str:
    about = {"account": "amazon-eu", "verb": "shipments"} if step not in ("stop", "allow") else {}
    answer = staff.post(f"{HOME}change/", FORM | {"step": step} | about | more, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_flow_goes_live_after_a_question_and_the_history_knows_who(shop: Account, client_dv: Client) -> None:
    staff = browser(client_dv, "admin")
    shown = staff.get(HOME).content.decode()
    assert "shadow: shown, not sent" in shown and "Amazon EU" in shown
    asked = staff.get(f"{HOME}change/", {"step": "live", "account": "amazon-eu", "verb": "shipments"}).content.decode()
    assert "Go live?" in asked and "What was held in shadow stays held." in asked
    assert "three days" not in asked, "they are over"
    with acting_for(client_dv):
        assert PushFlow.objects.get().mode == "shadow", "asking changes nothing"
    assert "live" in change(staff, "live", why="list signed off")
    with acting_for(client_dv):
        flow = PushFlow.objects.get()
        assert (flow.mode, flow.changed_by, flow.why) == ("live", "admin@example.com", "list signed off")
        assert OutboxCommand.objects.get().state == "held"
        entry = AuditEntry.objects.filter(table="marketplaces_pushflow").order_by("-pk").first()
        assert entry is not None
        assert (entry.actor, entry.before["mode"], entry.after["mode"]) == ("admin@example.com", "shadow", "live")


def test_it_goes_live_too_early_only_with_a_reason_which_the_audit_keeps(shop: Account, client_dv: Client) -> None:
    staff = browser(client_dv, "admin")
    with acting_for(client_dv):
        began = clock() - timedelta(days=1)
        PushFlow.objects.update(shadow_since=began)
    possible = localtime(began + push_flows.SHADOW, zone(client_dv.zone))
    asked = staff.get(f"{HOME}change/", {"step": "live", "account": "amazon-eu", "verb": "shipments"}).content.decode()
    assert f"live from {possible:%-d %b %Y, %H:%M} on" in asked and "Go live now all the same" in asked
    assert f"live from {possible:%Y-%m-%d %H:%M}" in change(staff, "live", why="the old program was switched off")
    assert "Say why it has to go live" in change(staff, "live", early="1", why="because")
    with acting_for(client_dv):
        assert PushFlow.objects.get().mode == "shadow"
    assert "Done." in change(staff, "live", early="1", why="the old program was switched off")
    with acting_for(client_dv):
        assert PushFlow.objects.get().is_early
        entry = AuditEntry.objects.filter(table="marketplaces_pushflow").order_by("-pk").first()
        assert entry is not None
        assert (entry.actor, entry.after["is_early"], entry.after["why"]) == (
            "admin@example.com", True, "the old program was switched off",
        )  # fmt: skip


def test_the_days_in_shadow_count_without_a_break_and_once(shop: Account, client_dv: Client) -> None:
    with acting_for(client_dv, actor="ann"):
        flow = push_flows.flow_of(shop, "shipments", now=START)
        day = timedelta(days=1)

        def switch(mode: str, days: float) -> str:
            try:
                push_flows.set_mode(flow, mode, actor="ann", now=START + days * day)
            except Refused as error:
                assert "three days" in error.message
            return flow.mode

        assert [switch("live", days) for days in (0, 2.99)] == ["shadow", "shadow"]
        assert [switch("stopped", 2.99), switch("live", 3.5), switch("shadow", 3.5)] == ["stopped", "stopped", "shadow"]
        assert [switch("shadow", 4), switch("live", 6.4), switch("live", 6.5)] == ["shadow", "shadow", "live"]
        assert not flow.is_early
        assert [switch("stopped", 7), switch("live", 7), switch("shadow", 8), switch("live", 8.1)] == [
            "stopped", "live", "shadow", "live",
        ], "what has been live once has done its days"  # fmt: skip


def test_everything_stops_with_one_switch_and_every_page_says_so(shop: Account, client_dv: Client) -> None:
    staff = browser(client_dv, "admin")
    change(staff, "stop", why="wrong warehouse")
    shown = staff.get(HOME).content.decode()
    assert "All pushes are stopped." in shown and "wrong warehouse" in shown and "Allow pushes again" in shown
    assert "All pushes are stopped" in staff.get("/c/dom-ventas/system/monitor/").content.decode()
    with acting_for(client_dv):
        flow = push_flows.flow_of(shop, "shipments", now=START)
        assert push_flows.mode_in_force(flow) == "stopped"
    change(staff, "allow")
    assert "All pushes are stopped" not in staff.get(HOME).content.decode()


def test_who_may_not_change_sees_and_cannot_switch(shop: Account, client_dv: Client) -> None:
    for role in set(Role) - {Role.ADMIN}:
        staff = browser(client_dv, role)
        shown = staff.get(HOME)
        assert shown.status_code == (200 if may(role, "view", "marketplaces.PushFlow") else 403), role
        assert "change/?step" not in shown.content.decode(), role
        assert staff.post(f"{HOME}change/", FORM | {"step": "stop"}).status_code == 403, role
    with acting_for(client_dv):
        assert not push_flows.is_stopped()


def test_an_incomplete_or_strange_change_is_told(shop: Account, client_dv: Client) -> None:
    staff = browser(client_dv, "admin")
    for given in ({"step": "live"}, {"step": "fly"}, {"step": "live", "account": "nobody", "verb": "shipments"}):
        answer = staff.post(f"{HOME}change/", FORM | given, follow=True).content.decode()
        assert "Done." not in answer
    with acting_for(client_dv):
        Account.objects.filter(pk=shop.pk).update(environment="live")
    assert "does not write to live marketplaces" in change(staff, "live")
    with acting_for(client_dv):
        assert PushFlow.objects.get().mode == "shadow"


def test_a_command_is_looked_at_and_decided_about_in_the_admin(shop: Account, client_dv: Client) -> None:
    staff, home = browser(client_dv, "admin"), "/c/dom-ventas/admin/marketplaces/outboxcommand/"
    with acting_for(client_dv):
        row = OutboxCommand.objects.get()
    listed = staff.get(f"{home}?state__exact=held").content.decode()
    assert "Order O-1, parcel 1" in listed
    assert "tracking_number: JD0001" in staff.get(f"{home}{row.pk}/change/").content.decode()

    def act(who: Browser, action: str) -> Any:
        return who.post(home, FORM | {"action": action, "_selected_action": [row.pk]}, follow=True)

    act(browser(client_dv, "finance"), "give_up")
    with acting_for(client_dv):
        assert OutboxCommand.objects.get().state == "held"
    for action, state in (("release", "waiting"), ("give_up", "given_up"), ("look_again", "unknown")):
        act(staff, action)
        with acting_for(client_dv):
            assert OutboxCommand.objects.get().state == state
    assert staff.get(f"{home}add/").status_code == 403
