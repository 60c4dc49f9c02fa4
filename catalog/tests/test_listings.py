"""Offers become listings of our SKUs; what somebody mapped stays, and what is unknown is queued."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Identifier, Listing, Sku, UnmappedItem
from catalog.selectors import unmapped
from catalog.services import listings, mapping
from catalog.services.products import ProductRow, load_products
from domventas.core.tenancy import acting_for
from marketplaces.models import Account, Site
from marketplaces.records import FulfillmentOwner, ListingStatus, OfferRecord

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
OFFER = OfferRecord(
    offer_ref="8001", site="bunnings.com.au", seller_sku="ALBA-1", product_ref="P1", eans=(), title="Kettle",
    status=ListingStatus.ACTIVE, raw_status="ACTIVE", fulfillment=FulfillmentOwner.SELLER, price=Decimal("39.90"),
    currency="AUD", quantity=5, category=None, seen_at=NOW,
)  # fmt: skip


@pytest.fixture
def account(acting: Any) -> Account:
    """A shop in Australia and two SKUs."""
    site = {
        "channel": "bunnings",
        "label": "Bunnings",
        "country": "AU",
        "currency": "AUD",
        "zone": "Australia/Melbourne",
    }
    Site.objects.update_or_create(code="bunnings.com.au", defaults=site)
    load_products(
        [
            ProductRow(
                sku="ALBA-1", brand="Alba", title="Alba kettle", category="home_kitchen", eans=("4006381333931",)
            ),
            ProductRow(sku="CORVO-1", brand="Corvo", title="Corvo drill", category="tools"),
        ],
        now=NOW,
    )
    return Account.objects.create(code="bunnings-au", name="Bunnings", channel="bunnings", external_id="2042")


def sku_of(offer: OfferRecord, account: Account) -> str | None:
    """The SKU the offer is listed under."""
    listings.ingest(account, [offer], now=NOW)
    sku = Listing.objects.get(offer_ref=offer.offer_ref).sku
    return sku.code if sku else None


def test_an_offer_finds_its_sku_by_id_in_the_order_of_trust(account: Account) -> None:
    assert sku_of(OFFER, account) == "ALBA-1"
    assert sku_of(replace(OFFER, offer_ref="8002", seller_sku="?", eans=("4006381333931",)), account) == "ALBA-1"
    assert sku_of(replace(OFFER, offer_ref="8003", seller_sku="?", title="Corvo drill"), account) is None
    Identifier.objects.create(
        sku=Sku.objects.get(code="CORVO-1"), kind="seller_sku", channel="bunnings", value="ALBA-1"
    )
    assert sku_of(replace(OFFER, offer_ref="8004"), account) == "CORVO-1", "this channel's own word counts more"


def test_an_older_snapshot_never_undoes_a_newer_one(account: Account) -> None:
    newer = replace(OFFER, price=Decimal("35.00"), seen_at=NOW + timedelta(hours=1))
    listings.ingest(account, [newer], now=NOW)
    listings.ingest(account, [OFFER], now=NOW)
    assert Listing.objects.get().live_price == Decimal("35")


def test_the_same_snapshot_again_writes_nothing(account: Account) -> None:
    page = [replace(OFFER, offer_ref=str(n)) for n in range(150)]
    assert listings.ingest(account, page, now=NOW).written == 150
    again = [replace(offer, seen_at=NOW + timedelta(hours=1)) for offer in page]
    assert listings.ingest(account, again, now=NOW, raw_id=9).written == 0


def test_unknown_and_zero_quantity_are_two_things(account: Account) -> None:
    listings.ingest(account, [replace(OFFER, quantity=None), replace(OFFER, offer_ref="8002", quantity=0)], now=NOW)
    assert dict(Listing.objects.values_list("offer_ref", "live_quantity")) == {"8001": None, "8002": 0}


def test_a_mapped_listing_keeps_its_sku_and_its_units_per_offer(account: Account) -> None:
    strange = replace(OFFER, seller_sku="XX-9")
    listings.ingest(account, [strange], now=NOW)
    item = unmapped.queue().get()
    assert Listing.objects.get(sku=None).offer_ref == "8001"
    mapping.map_item(item, sku=Sku.objects.get(code="CORVO-1"), actor="ana", now=NOW)
    Listing.objects.update(pack_factor=4)
    Identifier.objects.filter(value="XX-9").delete()
    listings.ingest(account, [replace(strange, price=Decimal("1.00"), seen_at=NOW + timedelta(hours=1))], now=NOW)
    kept = Listing.objects.get(sku__code="CORVO-1")
    assert (kept.pack_factor, kept.live_price) == (4, Decimal("1"))


def test_an_offer_that_cannot_be_stored_is_rejected_and_its_neighbors_go_on(account: Account) -> None:
    bad = [replace(OFFER, offer_ref="A", site="mars"), replace(OFFER, offer_ref="B", currency="A$")]
    done = listings.ingest(account, [*bad, OFFER], now=NOW)
    assert [x.external_id for x in done.rejected] == ["A", "B"]
    assert Listing.objects.count() == 1


def test_the_number_of_statements_is_the_same_for_two_and_for_twenty_offers(account: Account) -> None:
    def statements(first: int, count: int) -> int:
        page = [
            replace(OFFER, offer_ref=str(n), seller_sku="ALBA-1" if n % 2 else f"?{n}")
            for n in range(first, first + count)
        ]
        with CaptureQueriesContext(connection) as queries:
            listings.ingest(account, page, now=NOW)
        return len(queries)

    assert statements(100, 2) == statements(200, 20)


def test_a_member_of_one_brand_sees_only_its_listings(account: Account) -> None:
    listings.ingest(
        account,
        [
            OFFER,
            replace(OFFER, offer_ref="8002", seller_sku="CORVO-1"),
            replace(OFFER, offer_ref="8003", seller_sku="?"),
        ],
        now=NOW,
    )
    corvo = Sku.objects.get(code="CORVO-1").product.brand
    with acting_for(account.client_id, brands=[corvo.pk]):
        assert [listing.offer_ref for listing in Listing.objects.all()] == ["8002"]
        assert [sku.code for sku in Sku.objects.all()] == ["CORVO-1"]
    assert UnmappedItem.objects.get().offer_ref == "8003"
