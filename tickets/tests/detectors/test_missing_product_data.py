"""Unknown offers become findings: with the lines they hold, their money and the first ship-by as their clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from catalog.models import UnmappedItem
from domventas.core.models import Client
from domventas.tests.filler import NOW, make
from marketplaces.models import Account
from orders.models import Order, OrderCharge, OrderLine
from tickets.detector import Look, Seen
from tickets.detectors.missing_product_data import missing_product_data


@pytest.fixture
def account(acting: Client) -> Account:
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")
    make(UnmappedItem, account=account, offer_ref="SKU-9", seller_sku="SKU-9", state="open")
    return account


def held_line(account: Account, ship_by: datetime | None, status: str = "to_ship") -> None:
    order = make(Order, account=account, currency="EUR")
    line = make(
        OrderLine,
        order=order,
        account_id=account.pk,
        offer_ref="SKU-9",
        hold="unmapped",
        status=status,
        ship_by=ship_by,
    )
    make(OrderCharge, line=line, event="sale", kind="item_price", amount=Decimal("20.00"), currency="EUR")


def seen() -> list[Seen]:
    return list(missing_product_data.find(Look(now=NOW, limits=missing_product_data.limits)))


def test_an_unknown_offer_is_found_with_what_it_holds(account: Account) -> None:
    held_line(account, NOW + timedelta(hours=5))
    (item,) = seen()
    assert (item.amount, item.currency, item.facts["waiting to ship"]) == (Decimal("20.00"), "EUR", 1)
    assert item.deadline_at == NOW + timedelta(hours=5)


def test_a_mapped_offer_is_not_found(account: Account) -> None:
    UnmappedItem.objects.update(state="mapped")
    assert seen() == []


def test_shipped_lines_set_no_clock(account: Account) -> None:
    held_line(account, NOW + timedelta(hours=5), status="shipped")
    (item,) = seen()
    assert item.deadline_at is None and item.impact_day == 0


@pytest.mark.parametrize(("hours", "has_clock"), [(71, True), (72, False)])
def test_a_ship_by_within_three_days_is_a_clock(account: Account, hours: int, has_clock: bool) -> None:
    held_line(account, NOW + timedelta(hours=hours))
    assert [item.deadline_at is not None for item in seen()] == [has_clock]
