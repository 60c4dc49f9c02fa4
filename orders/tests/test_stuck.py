"""Stuck orders: every reason there is, the clock of each, and one count wherever they are counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from catalog.models import UnmappedItem
from catalog.services import mapping
from domventas.core.tenancy import acting_for
from domventas.tests.filler import make
from marketplaces.models import Account, Quarantined
from marketplaces.records import ChargeRecord, FeeKind, FulfillmentOwner, LineStatus, OrderLineRecord
from orders.models import Order, OrderLine
from orders.selectors import held
from orders.selectors.stuck import SORTS, Reason, Stuck, Urgency, Wanted, unread_elsewhere
from orders.services.ingest import ingest
from orders.services.shipments import confirm
from orders.tests.conftest import NOW, PRICE, Shop, line, order
from orders.tests.test_shipments import parcel, placed, settle

__all__ = ["placed"]

SOON, LATER, PAST = (NOW + timedelta(hours=hours) for hours in (5, 50, -5))


def strange(number: int = 1, sku: str = "DRILL-X", **values: Any) -> OrderLineRecord:
    """A line of an offer nobody has mapped."""
    return line(number, offer_ref=sku, seller_sku=sku, title="Corvo hand drill 2", **values)


def reasons_of(now: Any = NOW) -> dict[str, set[str]]:
    """The reasons by the number of the order."""
    rows = Stuck(now=now).orders()
    return {row.external_id: {reason.value for reason in Reason if getattr(row, f"is_{reason}")} for row in rows}


def test_each_reason_the_data_knows_is_told_and_nothing_else_is_stuck(shop: Shop) -> None:
    free = (ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal(0)),)
    ours = FulfillmentOwner.MARKETPLACE
    records = [
        order("fine"), order("held", lines=(strange(ship_by=LATER),)), order("late", lines=(line(ship_by=PAST),)),
        order("theirs", lines=(line(ship_by=PAST),), fulfillment=ours),
        order("gone", lines=(line(ship_by=PAST, status=LineStatus.SHIPPED),)),
        order("accept", lines=(line(status=LineStatus.TO_ACCEPT, ship_by=LATER),)),
        order("word", lines=(line(status=LineStatus.UNKNOWN, raw_status="ODD"),)),
        order("sum", total=Decimal(99), total_kinds=frozenset({FeeKind.ITEM_PRICE})),
        order("gift", lines=(line(charges=free),)), order("waits", lines=(line(status=LineStatus.PENDING),)),
        order("void", lines=(strange(status=LineStatus.CANCELED),)),
        order("both", lines=(strange(ship_by=PAST),)),
    ]  # fmt: skip
    ingest(shop.account, records, now=NOW)
    make(Quarantined, account=shop.account, flow="orders", external_id="Ofine")
    make(Quarantined, account=shop.account, flow="orders", external_id="Onobody")
    make(Quarantined, account=shop.account, flow="settlements", external_id="Ogift")
    make(Quarantined, account=shop.account, flow="orders", external_id="Ogone", resolved_at=NOW)
    assert reasons_of() == {
        "Oheld": {"held"}, "Olate": {"late"}, "Oaccept": {"accept"}, "Oword": {"status"}, "Osum": {"total"},
        "Ogift": {"price"}, "Owaits": {"pending"}, "Oboth": {"held", "late"}, "Ofine": {"unread"},
    }  # fmt: skip
    assert unread_elsewhere() == 1
    with acting_for(shop.account.client_id, brands=[shop.alba.pk]):
        assert unread_elsewhere() == 0


def test_a_new_order_may_be_held_back_for_two_days_before_it_is_stuck(shop: Shop) -> None:
    pending = order(lines=(line(status=LineStatus.PENDING),))
    ingest(shop.account, [pending], now=NOW)
    assert reasons_of(pending.ordered_at + timedelta(hours=47)) == {}
    assert reasons_of(pending.ordered_at + timedelta(hours=49)) == {"O1": {"pending"}}


@pytest.mark.parametrize(("state", "stuck"), [("refused", True), ("given_up", True), ("accepted", False)])
def test_a_parcel_its_marketplace_has_not_taken_makes_the_order_stuck(placed: Order, state: str, stuck: bool) -> None:
    confirm(placed, parcel(), now=NOW)
    settle(state, "No such carrier")
    found = Stuck(now=NOW)
    assert found.orders(Wanted(reason="untold")).exists() is stuck
    assert [told.message for told in found.untold.values()] == ["No such carrier"] * stuck


def test_the_clock_of_an_order_says_how_urgent_it_is(shop: Shop) -> None:
    away = line(2, status=LineStatus.SHIPPED, ship_by=PAST)
    records = [
        order("late", lines=(strange(ship_by=PAST),)), order("soon", lines=(strange(ship_by=SOON),)),
        order("ahead", lines=(strange(ship_by=LATER),)), order("dateless", lines=(strange(),)),
        order("part", lines=(strange(ship_by=SOON), away)),
        order("shipped", lines=(strange(status=LineStatus.SHIPPED, ship_by=PAST),)),
        order("fba", lines=(strange(ship_by=PAST),), fulfillment=FulfillmentOwner.MARKETPLACE),
    ]  # fmt: skip
    ingest(shop.account, records, now=NOW)
    rows = Stuck(now=NOW).orders(Wanted(reason="held")).order_by(*SORTS["urgency"])
    places = [(row.external_id, Urgency.values[row.rank]) for row in rows]
    assert places[:4] == [("Olate", "late"), ("Opart", "late"), ("Osoon", "soon"), ("Oahead", "ahead")]
    assert set(places[4:]) == {("Odateless", "ahead"), ("Oshipped", "books"), ("Ofba", "books")}
    for urgency in Urgency.values:
        narrowed = Stuck(now=NOW).orders(Wanted(urgency=urgency)).values_list("external_id", flat=True)
        assert set(narrowed) == {name for name, place in places if place == urgency}


def test_orders_are_counted_once_in_all_and_under_each_of_their_reasons(shop: Shop) -> None:
    records = [
        order(1, lines=(strange(1, ship_by=PAST), strange(2, "SAW-Y"))),
        order(2, lines=(line(1, charges=()), strange(2, status=LineStatus.SHIPPED))),
        order(3, site="amazon.com", currency="USD", lines=(line(ship_by=PAST),)),
    ]
    ingest(shop.account, records, now=NOW)
    Order.objects.filter(external_id="O2").update(stated_total=None, computed_total=None)
    found = Stuck(now=NOW).tallies()
    every, waiting, late = found.every, found.by_reason["held"], found.by_reason["late"]
    assert (every.orders, waiting.orders, waiting.lines, late.orders, late.lines) == (3, 2, 3, 2, 0)
    assert (every.sums, every.unvalued) == ({"EUR": Decimal("47.60"), "USD": Decimal("23.80")}, 1)
    assert (late.sums, waiting.unvalued) == ({"EUR": Decimal("47.60"), "USD": Decimal("23.80")}, 1)
    assert waiting.by_urgency == {"late": 1, "ahead": 1} and every.by_urgency == {"late": 2, "ahead": 1}
    american = Stuck(now=NOW).tallies(Wanted(site="amazon.com", reason="held"))
    assert (american.every.orders, american.by_reason["held"].orders, american.by_reason["late"].orders) == (1, 0, 1)


def test_held_offers_stand_by_site_with_what_one_mapping_frees(shop: Shop) -> None:
    other = Account.objects.create(code="amazon-us", name="Amazon US", channel="amazon", external_id="A1TEST")
    ingest(shop.account, [
        order(1, lines=(strange(1, ship_by=SOON), strange(2))), order(2, lines=(strange(1, "SAW-Y", ship_by=PAST),)),
        order(3, lines=(strange(status=LineStatus.SHIPPED),)), order(4),
    ], now=NOW)  # fmt: skip
    ingest(other, [order(5, site="amazon.com", currency="USD", lines=(strange(charges=PRICE[:1]),))], now=NOW)
    rows = held.described(held.by_offer(Stuck(now=NOW).orders(Wanted(reason="held")), now=NOW))
    told = [
        (row.offer_ref, row.site, row.orders, row.lines, row.late, row.soon, row.to_ship, row.value, row.currency)
        for row in rows
    ]
    assert told == [
        ("SAW-Y", "amazon.de", 1, 1, 1, 0, 1, Decimal("23.80"), "EUR"),
        ("DRILL-X", "amazon.de", 2, 3, 0, 1, 1, Decimal("71.40"), "EUR"),
        ("DRILL-X", "amazon.com", 1, 1, 0, 0, 1, Decimal("20.00"), "USD"),
    ]
    assert [row.ship_by for row in rows] == [PAST, SOON, None]
    assert rows[1].item == UnmappedItem.objects.get(account=shop.account, offer_ref="DRILL-X")
    mapping.map_item(rows[1].item, sku=shop.sku("CORVO-1"), actor="ana", now=NOW)
    assert set(OrderLine.objects.exclude(hold="").values_list("offer_ref", flat=True)) == {"SAW-Y"}


def test_a_member_of_one_brand_and_another_client_see_none_of_it(shop: Shop, client2: object) -> None:
    corvo = line(1, offer_ref="CORVO-1", seller_sku="CORVO-1", ship_by=PAST)
    ingest(shop.account, [order("C", lines=(corvo,)), order("A", lines=(line(ship_by=PAST), strange(2)))], now=NOW)
    make(Quarantined, account=shop.account, flow="orders", external_id="OA")
    with acting_for(shop.account.client_id, brands=[shop.corvo.pk]):
        assert reasons_of() == {"OC": {"late"}}
        assert Stuck(now=NOW).tallies().every.orders == 1
    with acting_for(client2):  # type: ignore[arg-type]  # the fixture gives a Client
        assert reasons_of() == {} and unread_elsewhere() == 0
