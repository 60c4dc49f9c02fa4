"""Members limited to brands see no money that cannot be told apart by brand."""

from __future__ import annotations

import pytest

from domventas.core.models import Membership
from domventas.core.tenancy import acting_for
from domventas.core.tests.conftest import House


@pytest.mark.parametrize(
    ("perm", "limited"),
    [
        ("finance.view_settlement", False),
        ("finance.view_receivable", False),
        ("finance.view_discrepancy", False),
        ("tickets.view_ticket", False),
        ("finance.view_skucost", True),
        ("orders.view_orderline", True),
    ],
)
def test_money_of_all_brands_is_hidden_from_members_limited_to_some(alba: House, perm: str, limited: bool) -> None:
    with acting_for(alba.client):
        assert alba.user.has_perm(perm)
    Membership.objects.filter(user=alba.user).update(brands=[7])
    with acting_for(alba.client, brands=[7]):
        assert alba.user.has_perm(perm) is limited
