"""The Today page: an account's day is that of all brands, so it is not for members limited to some."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.timezone import now

from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from domventas.tests.walk import signed_in
from finance.testing import account, order
from marketplaces.models import Account, OutboxCommand, PushFlow, Stream
from reports.pages.today import today as selectors

pytestmark = pytest.mark.db


@pytest.mark.parametrize(("brands", "shown"), [([], 1), ([7], 0)])
def test_an_accounts_day_is_shown_only_to_who_sees_all_brands(client_dv: Client, brands: list[int], shown: int) -> None:
    with acting_for(client_dv, actor="test"):
        order(account(), "O1", on=now().date() - timedelta(days=1))
        assert selectors.yesterday(day=now().date() - timedelta(days=1), complete={})
    person = User.objects.create_user("ana@example.com", "pw")
    Membership.objects.create(user=person, client=client_dv, role=Role.FINANCE, brands=brands)
    browser = Browser()
    browser.force_login(person)
    answer: Any = browser.get("/c/dom-ventas/")
    assert (answer.status_code, len(answer.context["accounts"])) == (200, shown)


def test_where_an_account_is_in_shadow_today_says_that_nothing_is_sent(client_dv: Client) -> None:
    with acting_for(client_dv, actor="test"):
        loud, quiet = account("amazon-eu"), account("otto-de")
        Account.objects.update(status="active")
        make(PushFlow, account=loud, verb="shipments", mode="live")
        make(OutboxCommand, account=loud, verb="shipments", payload={}, state="waiting", settled_at=None)
        make(OutboxCommand, account=loud, verb="shipments", payload={}, state="accepted", settled_at=now())
        make(OutboxCommand, account=quiet, verb="shipments", payload={}, state="held", settled_at=None)
        Stream.objects.create(account=loud, flow="orders", complete_until=now())

    browser = signed_in(client_dv, Role.ADMIN)

    def page() -> str:
        return " ".join(re.sub(r"<[^>]+>", " ", browser.get("/c/dom-ventas/").content.decode()).split())

    shown = page()
    assert f"Shadow: shown, not sent. What is confirmed here for {quiet.name} is kept" in shown
    assert "Told to marketplaces 1 accepted; 1 on the way, 1 held, not sent 0" in shown
    with acting_for(client_dv, actor="test"):
        make(PushFlow, account=quiet, verb="shipments", mode="live")
    assert "Shadow" not in page() and "Told to marketplaces" in page()
