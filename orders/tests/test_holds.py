"""An order of an unknown offer is loaded and held; mapping the offer once releases everything that waits for it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from catalog.models import Identifier, Listing, UnmappedItem
from catalog.services import listings, mapping
from catalog.services.products import ProductRow, load_products
from domventas.core.errors import Conflict, Refused
from domventas.core.tenancy import acting_for
from marketplaces.models import Account
from marketplaces.records import FulfillmentOwner, LineStatus, ListingStatus, OfferRecord, OrderLineRecord
from orders.models import Order, OrderCharge, OrderEvent, OrderLine
from orders.selectors import unmapped
from orders.selectors.stuck import Stuck
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order

LATER = NOW + timedelta(hours=3)


def strange(number: int = 1, sku: str = "DRILL-X", **values: object) -> OrderLineRecord:
    """A line of an offer nobody has mapped."""
    return line(number, offer_ref=sku, seller_sku=sku, title="Corvo hand drill 2", **values)


def test_an_unknown_offer_is_loaded_held_and_queued(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(line(1), strange(2)))], now=NOW)
    known, unknown = OrderLine.objects.order_by("external_id")
    assert (known.hold, unknown.hold, unknown.sku) == ("", "unmapped", None)
    item = UnmappedItem.objects.get()
    assert (item.offer_ref, item.state, item.first_seen_at) == ("DRILL-X", "open", NOW)
    assert OrderEvent.objects.get(what="held").line_external_id == "L2"
    (waiting,) = unmapped.unknown_offers()
    assert (waiting.offer_ref, waiting.line_count, waiting.waiting_count) == ("DRILL-X", 1, 1)
    assert (waiting.value, waiting.currency) == (Decimal("23.80"), "EUR")  # tax goes with it
    assert Stuck(now=NOW).tallies().by_reason["held"].orders == 1


def test_mapping_once_releases_the_lines_and_serves_all_later_ones(shop: Shop) -> None:
    ingest(shop.account, [order(n, site="amazon.com", currency="USD", lines=(strange(),)) for n in range(3)], now=NOW)
    drill = shop.sku("CORVO-1")
    assert mapping.map_item(UnmappedItem.objects.get(), sku=drill, actor="ana", now=LATER) == 1
    freed = OrderLine.objects.all()
    assert {(x.sku, x.hold, x.category, x.changed_at) for x in freed} == {(drill, "", "power_tools", LATER)}
    assert set(OrderEvent.objects.filter(what="released").values_list("actor", "after")) == {("ana", "CORVO-1")}
    assert Identifier.objects.get(value="DRILL-X").sku == drill
    item = UnmappedItem.objects.get()
    assert (item.state, item.sku, item.mapped_by) == ("mapped", drill, "ana")
    ingest(shop.account, [order(9, lines=(strange(),))], now=LATER)
    assert OrderLine.objects.get(order__external_id="O9").sku == drill


def test_reading_a_released_order_again_keeps_its_sku(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(strange(),))], now=NOW)
    mapping.map_item(UnmappedItem.objects.get(), sku=shop.sku("CORVO-1"), actor="ana", now=NOW)
    assert ingest(shop.account, [order(lines=(strange(),))], now=LATER).written == 0
    Identifier.objects.filter(value="DRILL-X").delete()
    ingest(shop.account, [order(hour=2, lines=(strange(status=LineStatus.SHIPPED),))], now=LATER)
    kept = OrderLine.objects.get()
    assert (kept.sku, kept.hold, kept.status) == (shop.sku("CORVO-1"), "", "shipped")


def test_the_same_seller_sku_on_another_account_of_the_channel_is_released_too(shop: Shop) -> None:
    other = Account.objects.create(code="amazon-us", name="Amazon US", channel="amazon", external_id="A1TEST")
    for account in (shop.account, other):
        ingest(account, [order(lines=(strange(),))], now=NOW)
    item = UnmappedItem.objects.get(account=other)
    assert mapping.map_item(item, sku=shop.sku("CORVO-1"), actor="ana", now=NOW) == 2
    assert not OrderLine.objects.exclude(hold="").exists()


def test_loading_the_missing_product_releases_what_waits_for_it(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(strange(),))], now=NOW)
    done = load_products([ProductRow(sku="DRILL-X", brand="Corvo", title="Corvo drill X", category="tools")], now=LATER)
    assert done.settled == 1
    assert OrderLine.objects.get().sku == shop.sku("DRILL-X")


def test_an_offer_that_brings_a_known_ean_releases_what_waits_for_it(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(strange(),))], now=NOW)
    offer = OfferRecord(
        offer_ref="DRILL-X", site="amazon.de", seller_sku="DRILL-X", product_ref=None, eans=("4006381333948",),
        title="Drill", status=ListingStatus.ACTIVE, raw_status="Active", fulfillment=FulfillmentOwner.SELLER,
        price=Decimal("49.90"), currency="EUR", quantity=3, category=None, seen_at=NOW,
    )  # fmt: skip
    listings.ingest(shop.account, [offer], now=LATER)
    freed = OrderLine.objects.get()
    assert (freed.sku, freed.hold, freed.listing) == (shop.sku("CORVO-1"), "", Listing.objects.get())


def test_lines_that_came_before_their_offer_are_told_its_listing_and_stay_as_they_were(shop: Shop) -> None:
    ingest(shop.account, [order(), order(2, site="amazon.com", currency="USD")], now=NOW)
    offer = OfferRecord(
        offer_ref="ALBA-1", site="amazon.de", seller_sku="ALBA-1", product_ref=None, eans=(), title="Kettle",
        status=ListingStatus.ACTIVE, raw_status="Active", fulfillment=FulfillmentOwner.SELLER,
        price=Decimal("23.80"), currency="EUR", quantity=3, category=None, seen_at=NOW,
    )  # fmt: skip
    listings.ingest(shop.account, [offer], now=LATER)
    german, american = OrderLine.objects.order_by("order__external_id")
    assert (german.listing, german.changed_at) == (Listing.objects.get(), NOW)
    assert american.listing is None
    assert ingest(shop.account, [order()], now=LATER).written == 0


def test_a_mapping_never_takes_an_identifier_from_another_sku(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(strange(),))], now=NOW)
    item = UnmappedItem.objects.get()
    Identifier.objects.create(sku=shop.sku("ALBA-1"), kind="seller_sku", channel="amazon", value="DRILL-X")
    with pytest.raises(Conflict, match="ALBA-1"):
        mapping.map_item(item, sku=shop.sku("CORVO-1"), actor="ana", now=NOW)
    assert OrderLine.objects.get().hold == "unmapped"


def test_nothing_is_mapped_twice_or_to_a_retired_sku(shop: Shop) -> None:
    ingest(shop.account, [order(lines=(strange(),))], now=NOW)
    item, drill = UnmappedItem.objects.get(), shop.sku("CORVO-1")
    drill.status = "retired"
    drill.save()
    with pytest.raises(Refused):
        mapping.map_item(item, sku=drill, actor="ana", now=NOW)
    mapping.map_item(item, sku=shop.sku("ALBA-1"), actor="ana", now=NOW)
    with pytest.raises(Conflict):
        mapping.map_item(item, sku=shop.sku("ALBA-1"), actor="bob", now=NOW)


def test_later_lines_of_an_ignored_offer_are_not_held(shop: Shop) -> None:
    ingest(shop.account, [order(1, lines=(strange(),))], now=NOW)
    mapping.ignore_item(UnmappedItem.objects.get(), actor="ana", now=NOW)
    ingest(shop.account, [order(2, lines=(strange(),))], now=NOW)
    assert OrderLine.objects.get(order__external_id="O2").hold == ""


def test_lines_that_came_while_an_offer_was_ignored_get_its_sku_when_it_is_mapped_after_all(shop: Shop) -> None:
    ingest(shop.account, [order(1, lines=(strange(),))], now=NOW)
    mapping.ignore_item(UnmappedItem.objects.get(), actor="ana", now=NOW)
    ingest(shop.account, [order(2, lines=(strange(),))], now=NOW)
    drill = shop.sku("CORVO-1")
    mapping.map_item(UnmappedItem.objects.get(), sku=drill, actor="ana", now=LATER)
    assert {(x.sku, x.hold, x.changed_at) for x in OrderLine.objects.all()} == {(drill, "", LATER)}


def test_the_probable_sku_is_proposed_and_never_taken(shop: Shop) -> None:
    lines = (
        strange(1, "corvo 1"),
        line(2, offer_ref="Z9", seller_sku="Z9", product_ref="4006381333931", title="?"),
        line(3, offer_ref="Z8", seller_sku="Z8", product_ref=None, title="hand drill Corvo"),
        line(4, offer_ref="Z7", seller_sku="Z7", product_ref=None, title="garden gnome"),
    )
    ingest(shop.account, [order(lines=lines)], now=NOW)
    proposed = dict(UnmappedItem.objects.values_list("offer_ref", "candidate__code"))
    assert proposed == {"corvo 1": "CORVO-1", "Z9": "ALBA-1", "Z8": "CORVO-1", "Z7": None}
    assert set(OrderLine.objects.values_list("hold", flat=True)) == {"unmapped"}


def test_a_member_of_one_brand_sees_only_its_orders_lines_and_charges(shop: Shop) -> None:
    drill = line(1, offer_ref="CORVO-1", seller_sku="CORVO-1")
    ingest(shop.account, [order("A"), order("C", lines=(drill,)), order("U", lines=(strange(),))], now=NOW)
    with acting_for(shop.account.client_id, brands=[shop.corvo.pk]):
        assert list(Order.objects.values_list("external_id", flat=True)) == ["OC"]
        assert OrderLine.objects.get().sku.code == "CORVO-1"
        assert set(OrderCharge.objects.values_list("line__order__external_id", flat=True)) == {"OC"}
        assert not UnmappedItem.objects.exists()
        assert Stuck(now=NOW).tallies().every.orders == 0
    assert Order.objects.count() == 3


def test_another_client_sees_nothing(shop: Shop, client2: object) -> None:
    ingest(shop.account, [order(lines=(line(1), strange(2)))], now=NOW)
    with acting_for(client2):  # type: ignore[arg-type]  # the fixture gives a Client
        for model in (Order, OrderLine, OrderCharge, OrderEvent, UnmappedItem):
            assert not model.objects.exists(), model
