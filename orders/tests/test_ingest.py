"""Orders come late, twice and out of order; the newest wins, and nothing is written that is already so."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.testing import statements
from marketplaces.records import ChargeRecord, FeeKind, LineStatus, OrderRecord, RefundRecord
from orders.models import BuyerContact, Order, OrderCharge, OrderEvent, OrderException, OrderLine, OrderRefund
from orders.selectors import days, detail
from orders.services import buyers, exceptions
from orders.services.ingest import ingest
from orders.tests.conftest import BUYER, NOW, PRICE, Shop, line, order

TABLES = ("orders_order", "orders_orderline", "orders_ordercharge", "orders_orderrefund", "orders_orderevent",
          "orders_orderexception", "orders_buyercontact", "catalog_unmappeditem", "catalog_listing")  # fmt: skip


def touched() -> int:
    """Tuples inserted, updated or deleted in our tables by this transaction so far."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables"
            " WHERE relname = ANY(%s)",
            [list(TABLES)],
        )
        return int(cursor.fetchone()[0])


def shipped(hour: int) -> OrderRecord:
    """The order once it is on its way."""
    moment = order().ordered_at + timedelta(hours=hour)
    return order(
        hour=hour, lines=(line(status=LineStatus.SHIPPED, raw_status="SHIPPED", quantity_shipped=1, shipped_at=moment),)
    )


STATES = [order(), shipped(5), order(hour=9, lines=(line(status=LineStatus.DELIVERED, title="Alba kettle, renamed"),))]


def test_a_new_order_is_stored_with_its_line_charges_and_day(shop: Shop) -> None:
    done = ingest(shop.account, [order(ordered_at=order().ordered_at.replace(hour=23, minute=30))], now=NOW, raw_id=7)
    stored = Order.objects.get()
    assert (stored.status, stored.raw_id, stored.computed_total, stored.stated_total) == (
        "to_ship",
        7,
        Decimal("23.80"),
        None,
    )
    assert stored.ordered_on == date(2026, 11, 2), "half past eleven UTC is the next day in Berlin"
    assert (
        done.by_day
        == {date(2026, 11, 2): 1}
        == days.placed(shop.account, since=date(2026, 11, 1), until=date(2026, 11, 9))
    )
    kept = OrderLine.objects.get()
    assert (kept.sku, kept.category, kept.hold) == (shop.sku("ALBA-1"), "home_kitchen", "")
    assert {(c.kind, c.amount, c.currency) for c in kept.charges.all()} == {
        ("item_price", Decimal("20"), "EUR"),
        ("item_tax", Decimal("3.8"), "EUR"),
    }


@pytest.mark.parametrize("arrival", list(permutations(range(3))), ids=str)
def test_the_newest_state_wins_in_every_order_of_arrival(shop: Shop, arrival: tuple[int, ...]) -> None:
    for index in arrival:
        ingest(shop.account, [STATES[index]], now=NOW)
    kept = OrderLine.objects.get()
    assert (kept.status, kept.title) == ("delivered", "Alba kettle, renamed")
    assert Order.objects.get().source_updated_at == STATES[2].updated_at


@pytest.mark.parametrize("arrival", list(permutations(range(3))), ids=str)
def test_doubles_within_a_page_collapse_to_the_newest(shop: Shop, arrival: tuple[int, ...]) -> None:
    done = ingest(shop.account, [STATES[index] for index in arrival], now=NOW)
    assert (done.seen, Order.objects.count()) == (3, 1)
    assert OrderLine.objects.get().status == "delivered"


def test_reading_the_same_page_again_writes_no_tuple(shop: Shop) -> None:
    page = [
        order(
            n,
            total=Decimal("1"),
            total_kinds=frozenset({FeeKind.ITEM_PRICE}),
            lines=(line(1), line(2, offer_ref="NEW", seller_sku="NEW")),
        )
        for n in range(120)
    ]
    ingest(shop.account, page, now=NOW)
    before = touched()
    assert before > 0
    done = ingest(shop.account, page, now=NOW + timedelta(hours=1), raw_id=8)
    assert (done.written, done.by_day, touched() - before) == (0, {}, 0)


def test_a_status_change_is_one_event_at_the_time_the_marketplace_changed_it(shop: Shop) -> None:
    ingest(shop.account, [STATES[0]], now=NOW)
    ingest(shop.account, [STATES[1]], now=NOW)
    ingest(shop.account, [STATES[1]], now=NOW)
    event = OrderEvent.objects.get(what="status")
    assert (event.before, event.after, event.at) == ("to_ship", "shipped", STATES[1].updated_at)


def test_changed_at_moves_only_when_the_line_or_its_money_changed(shop: Shop) -> None:
    ingest(shop.account, [order(1), order(2)], now=NOW)
    later = NOW + timedelta(hours=1)
    dearer = (ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("21.00")), PRICE[1])
    ingest(shop.account, [order(1, hour=1, alias="x"), order(2, hour=1, lines=(line(charges=dearer),))], now=later)
    assert OrderLine.objects.get(order__external_id="O1").changed_at == NOW
    assert OrderLine.objects.get(order__external_id="O2").changed_at == later


def test_a_charge_the_marketplace_takes_back_is_removed(shop: Shop) -> None:
    ingest(shop.account, [order()], now=NOW)
    ingest(shop.account, [order(hour=1, lines=(line(charges=PRICE[:1]),))], now=NOW)
    assert [charge.kind for charge in OrderCharge.objects.all()] == ["item_price"]


def test_two_charges_of_one_kind_add_up(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(line(charges=(*PRICE, PRICE[1])),))], now=NOW)
    assert OrderCharge.objects.get(kind="item_tax").amount == Decimal("7.6")


def test_a_line_that_is_no_longer_named_stays_as_canceled_without_amounts(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(line(1), line(2)))], now=NOW)
    ingest(shop.account, [order(hour=1, lines=(line(1),))], now=NOW)
    dropped = OrderLine.objects.get(external_id="L2")
    assert (dropped.status, dropped.charges.count()) == ("canceled", 0)
    again = ingest(shop.account, [order(hour=1, lines=(line(1),))], now=NOW)
    assert again.written == 0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((LineStatus.CANCELED, LineStatus.SHIPPED), "shipped"),
        ((LineStatus.CANCELED, LineStatus.REFUSED), "canceled"),
        ((LineStatus.REFUSED,), "refused"),
        ((LineStatus.TO_SHIP, LineStatus.DELIVERED), "part_shipped"),
        ((LineStatus.SHIPPED, LineStatus.DELIVERED), "shipped"),
        ((LineStatus.PENDING, LineStatus.TO_SHIP), "pending"),
        ((LineStatus.UNKNOWN, LineStatus.SHIPPED), "unknown"),
        ((), "unknown"),
    ],
    ids=str,
)
def test_the_orders_status_follows_from_its_lines(shop: Shop, lines: tuple[LineStatus, ...], status: str) -> None:
    ingest(shop.account, [order(lines=tuple(line(n, status=one) for n, one in enumerate(lines)))], now=NOW)
    assert Order.objects.get().status == status


def test_a_partial_cancel_and_a_partial_refund_keep_the_rest(shop: Shop) -> None:
    three = line(quantity=3, charges=(ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("60.00")),))
    ingest(shop.account, [order(lines=(three,))], now=NOW)
    back = RefundRecord(
        external_id="R1",
        refunded_at=NOW,
        quantity=1,
        charges=(ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("-20.00")),),
        reason="broken",
    )
    partly = replace(three, quantity_canceled=1, quantity_shipped=2, status=LineStatus.SHIPPED, refunds=(back,))
    ingest(shop.account, [order(hour=1, lines=(partly,))], now=NOW)
    kept = OrderLine.objects.get()
    assert (kept.quantity, kept.quantity_canceled, kept.quantity_shipped) == (3, 1, 2)
    refund = OrderRefund.objects.get()
    assert (refund.external_id, refund.quantity, refund.reason) == ("R1", 1, "broken")
    amounts = {(charge.event, charge.refund_ref): charge.amount for charge in kept.charges.all()}
    assert amounts == {("sale", ""): Decimal("60"), ("refund", "R1"): Decimal("-20")}
    assert set(OrderEvent.objects.values_list("what", flat=True)) == {"status", "quantity_canceled", "refund"}
    ingest(shop.account, [order(hour=2, lines=(replace(partly, refunds=()),))], now=NOW)
    assert (OrderRefund.objects.count(), OrderCharge.objects.count()) == (0, 1)


def test_a_total_that_differs_is_an_exception_beside_the_loaded_order(shop: Shop) -> None:
    kinds = frozenset({FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX})
    ingest(shop.account, [order(total=Decimal("24.80"), total_kinds=kinds)], now=NOW)
    odd = OrderException.objects.get()
    assert (odd.code, odd.detail) == ("total_mismatch", "24.80 EUR stated, 23.80 EUR in its lines")
    assert OrderLine.objects.count() == 1
    ingest(shop.account, [order(hour=1, total=Decimal("23.80"), total_kinds=kinds)], now=NOW)
    odd.refresh_from_db()
    assert odd.resolved_at == NOW


def test_a_total_counts_tax_only_where_the_source_says_so(shop: Shop) -> None:
    american = order(
        site="amazon.com",
        currency="USD",
        total=Decimal("20.00"),
        total_kinds=frozenset({FeeKind.ITEM_PRICE}),
    )
    with_tax = replace(
        american,
        external_id="O2",
        total=Decimal("23.80"),
        total_kinds=frozenset({FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX}),
    )
    ingest(shop.account, [american, with_tax], now=NOW)
    assert not OrderException.objects.exists()
    assert set(Order.objects.values_list("computed_total", flat=True)) == {Decimal("20"), Decimal("23.8")}


@pytest.mark.parametrize(("stated", "is_odd"), [("23.80", False), ("47.60", False), ("30.00", True)])
def test_a_total_may_leave_canceled_lines_out_or_have_them_in(shop: Shop, stated: str, is_odd: bool) -> None:
    kinds = frozenset({FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX})
    lines = (line(1), line(2, status=LineStatus.CANCELED))
    ingest(shop.account, [order(total=Decimal(stated), total_kinds=kinds, lines=lines)], now=NOW)
    assert OrderException.objects.exists() is is_odd


def test_an_exception_somebody_has_seen_to_stays_closed_until_it_changes(shop: Shop) -> None:
    odd = order(total=Decimal("9"), total_kinds=frozenset({FeeKind.ITEM_PRICE}))
    ingest(shop.account, [odd], now=NOW)
    assert exceptions.resolve(Order.objects.all(), actor="ana", now=NOW) == 1
    ingest(shop.account, [replace(odd, updated_at=odd.updated_at + timedelta(hours=1))], now=NOW)
    assert OrderException.objects.get().resolved_by == "ana"
    ingest(shop.account, [replace(odd, updated_at=odd.updated_at + timedelta(hours=2), total=Decimal("8"))], now=NOW)
    assert OrderException.objects.get().resolved_at is None


def test_a_price_of_zero_and_an_unknown_status_are_named(shop: Shop) -> None:
    free = (ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("0.00")),)
    ingest(
        shop.account,
        [order(lines=(line(charges=free), line(2, status=LineStatus.UNKNOWN, raw_status="Frozen")))],
        now=NOW,
    )
    assert dict(OrderException.objects.values_list("code", "detail")) == {
        "price_zero": "line L1",
        "unknown_status": "Frozen",
    }


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (order("X", site="amazon.mars"), "amazon.mars"),
        (order("X", currency="ZZZ"), "ZZZ"),
        (order("X", lines=(line(1), line(1))), "same id"),
        (order("X", lines=(line(quantity=-1),)), "negative"),
        (
            order("X", lines=(line(charges=(ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("NaN")),)),)),
            "no amount",
        ),
        (order("X" * 90), "80 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_order_that_cannot_be_stored_is_rejected_and_its_neighbors_go_on(
    shop: Shop, bad: OrderRecord, reason: str
) -> None:
    done = ingest(shop.account, [order(1), bad, order(2)], now=NOW)
    assert Order.objects.count() == 2
    (rejected,) = done.rejected
    assert reason in rejected.reason and rejected.external_id == bad.external_id
    assert b"Moritz" not in rejected.excerpt


def test_the_buyer_is_encrypted_at_rest_and_shown_masked(shop: Shop) -> None:
    ingest(shop.account, [order()], now=NOW)
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {table} t")
            everything = cursor.fetchone()[0]
            assert not [
                word for word in ("Marlene", "Moritz", "example.com", "Sandtor", "Hamburg") if word in everything
            ], table
    contact = BuyerContact.objects.get()
    assert (contact.contact["name"], contact.country) == (BUYER.name, "DE")
    assert detail.order(Order.objects.get().pk).buyer == "M. M., Hamburg, DE"


def test_a_country_in_other_letters_is_not_cut_to_another_country(shop: Shop) -> None:
    ingest(shop.account, [order(buyer=replace(BUYER, country="AUT"))], now=NOW)
    assert detail.order(Order.objects.get().pk).buyer == "M. M., Hamburg"
    assert BuyerContact.objects.get().contact["country"] == "AUT"


def test_buyers_vanish_on_their_day_and_do_not_come_back(shop: Shop) -> None:
    ingest(shop.account, [order()], now=NOW)
    assert BuyerContact.objects.get().purge_at == order().ordered_at + timedelta(days=180)
    there = order(
        hour=30, lines=(line(status=LineStatus.DELIVERED, delivered_at=order().ordered_at + timedelta(days=1)),)
    )
    ingest(shop.account, [replace(there, buyer=None)], now=NOW)
    contact = BuyerContact.objects.get()
    assert contact.purge_at == order().ordered_at + timedelta(days=31) and contact.contact["city"] == "Hamburg"
    assert buyers.purge(now=contact.purge_at) == 1
    ingest(shop.account, [replace(there, updated_at=there.updated_at + timedelta(hours=1))], now=NOW)
    contact = BuyerContact.objects.get()
    assert contact.contact is None and contact.country == "DE"


def test_a_redacted_document_neither_overwrites_nor_invents_a_buyer(shop: Shop) -> None:
    ingest(shop.account, [order(1)], now=NOW)
    blank = replace(BUYER, name="removed", city="removed")
    ingest(shop.account, [order(1, hour=1, buyer=blank), order(2, buyer=blank)], now=NOW, has_buyers=False)
    assert BuyerContact.objects.get().contact["name"] == BUYER.name


def test_the_number_of_statements_is_the_same_for_two_and_for_twenty_orders(shop: Shop) -> None:
    def page(name: str, count: int, status: LineStatus) -> list[OrderRecord]:
        known = line(charges=PRICE[:1], status=status)
        hour = 0 if status is LineStatus.TO_SHIP else 1
        return [
            order(
                f"{name}{n}",
                hour=hour,
                lines=(known, line(2, offer_ref=f"{name}{n}", seller_sku="", charges=PRICE[:1])),
            )
            for n in range(count)
        ]

    def asked(records: list[OrderRecord]) -> int:
        with CaptureQueriesContext(connection) as queries:
            ingest(shop.account, records, now=NOW)
        return statements(queries)

    assert shop.account.channel_sites  # asked once for an account, however many pages follow
    for status in (LineStatus.TO_SHIP, LineStatus.SHIPPED, LineStatus.SHIPPED):
        assert asked(page("a", 2, status)) == asked(page("b", 20, status))
