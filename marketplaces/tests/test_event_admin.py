"""Inlets and events in the admin: addresses are opened and closed there, secrets stay hidden, events are replayed."""

from __future__ import annotations

import pytest
from django.test import Client as Browser
from django.utils.timezone import now as clock

from domventas.core.models import Client, PiiAccess, Route, TaskRun, User
from domventas.core.roles import Role
from marketplaces.events import Hint
from marketplaces.models import Account, InboundEvent, Inlet
from marketplaces.services.inbox import accept
from marketplaces.services.inlets import active_secrets
from marketplaces.tests.sending import SECRET, hint
from marketplaces.tests.support import NOW
from marketplaces.tests.test_admin import AT, act, browser


@pytest.fixture
def admin(client_of: Client) -> Browser:
    return browser(client_of, Role.ADMIN)


def test_an_address_is_opened_shown_rotated_and_closed_and_its_secret_never_seen(account: Account, admin: Browser):
    form = {"account": account.pk, "kind": "webhook", "queue_url": "", "key_id": "", "client": "dom-ventas"}
    assert "at least 16" in admin.post(f"{AT}inlet/add/", form | {"secret": "short"}).content.decode()
    assert not Route.objects.exists()
    made = admin.post(f"{AT}inlet/add/", form | {"secret": SECRET})
    assert made.status_code == 302
    inlet = Inlet.objects.get()
    page = admin.get(f"{AT}inlet/{inlet.pk}/change/").content.decode()
    assert f"http://testserver/in/{inlet.key}" in page
    assert SECRET not in page + admin.get(f"{AT}inlet/").content.decode()
    new = "the-next-secret-of-the-tests"
    assert admin.post(f"{AT}inlet/{inlet.pk}/change/", {"secret": new, "client": "dom-ventas"}).status_code == 302
    inlet.refresh_from_db()
    assert active_secrets(inlet, now=clock()) == [SECRET, new]
    act(admin, "inlet", "close", inlet)
    assert not Route.objects.exists()
    assert admin.get(f"{AT}inlet/{inlet.pk}/change/").status_code == 200


def test_only_an_operator_lets_an_account_share_the_platforms_queue(client_of: Client, admin: Browser, settings):
    """Whoever claims a seller's id there gets that seller's messages."""
    settings.EVENT_QUEUE = {"url": "https://sqs.eu-west-1.amazonaws.com/123456789012/q", "key_id": "k", "secret": "s"}
    amazon = Account.objects.create(code="amazon", name="Amazon", channel="amazon", external_id="A2")
    form = {"account": amazon.pk, "kind": "sqs", "queue_url": "", "key_id": "", "secret": "", "client": "dom-ventas"}
    assert "Only a platform operator" in admin.post(f"{AT}inlet/add/", form).content.decode()
    assert not Route.objects.exists()
    User.objects.update(is_operator=True)
    assert admin.post(f"{AT}inlet/add/", form).status_code == 302
    assert Route.objects.get().key == "sqs.eu-west-1.amazonaws.com/123456789012/q/A2"


def test_only_those_who_set_credentials_see_addresses(account: Account, client_of: Client):
    ops = browser(client_of, Role.OPS)
    assert ops.get(f"{AT}inlet/").status_code == 403
    assert ops.get(f"{AT}inboundevent/").status_code == 200


def test_events_are_read_and_replayed(account: Account, admin: Browser, client_of: Client):
    accept(account, "webhook", [hint("e-1", "T-001")], now=NOW)
    event = InboundEvent.objects.get()
    InboundEvent.objects.update(state="failed", note="gone", attempts=8)
    TaskRun.objects.all().delete()
    assert "gone" in admin.get(f"{AT}inboundevent/").content.decode()
    at, staff = f"{AT}inboundevent/{event.pk}/", browser(client_of, Role.OPS)
    masked = staff.get(f"{at}change/").content.decode()
    assert (f"{at}reveal/" in masked, "&quot;flow&quot;" in masked) == (True, False)
    assert admin.post(f"{at}reveal/", {"reason": "curious about it"}).status_code == 403
    shown = staff.post(f"{at}reveal/", {"reason": "an order looks odd"}).content.decode()
    assert "&quot;ref&quot;: &quot;T-001&quot;" in shown
    assert PiiAccess.objects.get().model == "marketplaces.InboundEvent"
    act(admin, "inboundevent", "replay", event)
    event.refresh_from_db()
    assert (event.state, event.attempts, TaskRun.objects.get().task) == ("waiting", 0, "events.drain.toy")


def test_replaying_reads_the_bytes_anew(account: Account, admin: Browser):
    arrived, _understood = hint("e-1", "T-001")
    accept(account, "webhook", [(arrived, [Hint(event_id="e-1", kind="?")])], now=NOW)
    event = InboundEvent.objects.get()
    assert event.state == "ignored"
    act(admin, "inboundevent", "replay", event)
    event.refresh_from_db()
    assert (event.state, event.kind, event.flow, event.ref) == ("waiting", "order.changed", "orders", "T-001")
