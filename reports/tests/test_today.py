"""The Today page: an account's day is that of all brands, so it is not for members limited to some."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils.timezone import now

from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.core.tenancy import acting_for
from finance.testing import account, order
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
