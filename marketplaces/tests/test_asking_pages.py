"""What accounts are subscribed to on the monitor and at the end of connecting one, and *Subscribe*."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import now as clock

from domventas.core.models import Client, TaskRun
from domventas.core.roles import Role
from domventas.tests.filler import make
from marketplaces.models import Account, Inlet, Stream, Subscription
from marketplaces.tests.support import Toy
from marketplaces.tests.test_pages import HOME, browser, text

MONITOR = f"{HOME}/system/monitor/"
State = Subscription.State


@pytest.fixture
def seller(toy: Toy) -> Account:
    found = make(Account, channel="amazon", name="Amazon EU", status="active")
    make(Stream, account=found, flow="orders")
    return found


def row(account: Account, topic: str, state: str, **more: Any) -> None:
    make(Subscription, account=account, topic=topic, state=state, **{"since": None, "note": "", **more})


def test_the_monitor_says_what_is_subscribed_since_when_or_why_not(seller: Account, client_of: Client) -> None:
    make(Inlet, account=seller, kind="sqs", closed_at=None)
    row(seller, "ORDER_CHANGE", State.SUBSCRIBED, since=clock())
    row(seller, "REPORT_PROCESSING_FINISHED", State.REFUSED, note="The application lacks a role.")
    page = text(browser(client_of, Role.ADMIN).get(MONITOR))
    for words in ('pill good">subscribed', "since", 'pill bad">refused', "The application lacks a role.", "Subscribe"):
        assert words in page, words
    Subscription.objects.update(state=State.SUBSCRIBED)
    assert "/system/subscribe/" not in text(browser(client_of, Role.ADMIN).get(MONITOR)), "nothing is left to do"


def test_without_an_inlet_it_says_where_to_open_one(seller: Account, client_of: Client) -> None:
    page = text(browser(client_of, Role.ADMIN).get(MONITOR))
    assert "there is no inlet the events could come to" in page
    assert f"admin/marketplaces/inlet/add/?account={seller.pk}&amp;kind=sqs" in page


@pytest.mark.parametrize(("back", "page"), [("", MONITOR), ("connect", None)])
def test_subscribe_asks_for_a_job_and_comes_back(
    seller: Account, client_of: Client, back: str, page: str | None
) -> None:
    make(Inlet, account=seller, kind="sqs", closed_at=None)
    admin = browser(client_of, Role.ADMIN)
    data = {"back": back, "_client": "dom-ventas"}
    answer = admin.post(f"{HOME}/system/subscribe/{seller.pk}/", data)
    assert answer.url == (page or f"{HOME}/system/connect/{seller.pk}/")
    assert TaskRun.objects.get().task == "events.subscribe.amazon"
    asked = Subscription.objects.exclude(asked_at=None).values_list("topic", "state")
    assert set(asked) == {("ORDER_CHANGE", "asked"), ("REPORT_PROCESSING_FINISHED", "asked")}
    assert "asked for" in text(admin.get(f"{HOME}/system/connect/{seller.pk}/"))


def test_what_cannot_be_asked_is_said_and_others_may_only_look(seller: Account, client_of: Client) -> None:
    data = {"_client": "dom-ventas"}
    url = f"{HOME}/system/subscribe/{seller.pk}/"
    assert "no inlet yet" in text(browser(client_of, Role.ADMIN).post(url, data, follow=True))
    assert browser(client_of, Role.OPS).post(url, data).status_code == 403
    assert "/system/subscribe/" not in text(browser(client_of, Role.OPS).get(MONITOR))
    assert browser(client_of, Role.ADMIN).post(f"{HOME}/system/subscribe/999999/", data).status_code == 404
