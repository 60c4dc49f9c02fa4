"""A parcel is confirmed in a browser: pieces, carrier and number, a look at what will be told, and yes."""

from __future__ import annotations

import pytest

from domventas.core import tenancy
from domventas.core.models import Membership
from domventas.core.roles import Role
from domventas.tests.browser.conftest import House, Watched
from orders.models import OrderLine

pytestmark = [pytest.mark.screens, pytest.mark.django_db(transaction=True)]


def test_a_parcel_is_confirmed_step_by_step(eyes: Watched, house: House) -> None:
    Membership.objects.update(role=Role.OPS)
    with tenancy.acting_for(house.client):
        OrderLine.objects.update(hold="")
    eyes.open(f"/c/dom-ventas{house.paths['ship']}")
    assert eyes.barriers() == [] and not eyes.sways()
    eyes.page.select_option("select[name=carrier]", "dhl")
    eyes.page.fill("input[name=tracking_number]", "JD0001")
    with eyes.page.expect_navigation():
        eyes.page.click("button[value=preview]")
    assert "What will be told" in eyes.page.inner_text("main")
    assert eyes.barriers() == []
    with eyes.page.expect_navigation():
        eyes.page.click("button[value=confirm]")
    assert eyes.page.url.endswith(house.paths["order"])
    assert "held, not told" in eyes.page.inner_text("main"), "the account is in shadow"
    assert eyes.barriers() == []
    assert eyes.complaints == []
