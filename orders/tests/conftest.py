"""A shop on two sites with two brands, and records as connectors make them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from catalog.models import Brand, Sku
from catalog.services.products import ProductRow, load_products
from marketplaces.models import Account, Site
from marketplaces.records import (
    BuyerRecord,
    ChargeRecord,
    FeeKind,
    FulfillmentOwner,
    LineStatus,
    OrderLineRecord,
    OrderRecord,
)

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
PRICE = (
    ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("20.00")),
    ChargeRecord(kind=FeeKind.ITEM_TAX, amount=Decimal("3.80")),
)
BUYER = BuyerRecord(
    name="Marlene Moritz", email="m.moritz@example.com", street="Am Sandtor 7", city="Hamburg", country="DE"
)


def line(number: int | str = 1, **values: Any) -> OrderLineRecord:
    """One line of ALBA-1, ready to ship, 20.00 + 3.80 tax; with other values as given."""
    plain: dict[str, Any] = {
        "external_id": f"L{number}",
        "offer_ref": "ALBA-1",
        "seller_sku": "ALBA-1",
        "product_ref": "B0ALBA0001",
        "title": "Alba kettle",
        "quantity": 1,
        "quantity_shipped": 0,
        "quantity_canceled": 0,
        "status": LineStatus.TO_SHIP,
        "raw_status": "UNSHIPPED",
        "category": None,
        "charges": PRICE,
    }
    return OrderLineRecord(**(plain | values))


def order(number: int | str = 1, *, hour: int = 0, **values: Any) -> OrderRecord:
    """One order with one line, placed on 1 November and last changed so many hours later."""
    placed = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
    plain: dict[str, Any] = {
        "external_id": f"O{number}",
        "site": "amazon.de",
        "currency": "EUR",
        "ordered_at": placed,
        "updated_at": placed + timedelta(hours=hour),
        "fulfillment": FulfillmentOwner.SELLER,
        "lines": (line(),),
        "buyer": BUYER,
    }
    return OrderRecord(**(plain | values))


@dataclass(frozen=True)
class Shop:
    """What the tests act on."""

    account: Account
    alba: Brand
    corvo: Brand

    def sku(self, code: str) -> Sku:
        """A SKU by its code."""
        return Sku.objects.get(code=code)


@pytest.fixture
def shop(acting: Any) -> Shop:
    """An Amazon account on two sites, and a product master of two brands."""
    for code, country, currency, zone in (
        ("amazon.de", "DE", "EUR", "Europe/Berlin"),
        ("amazon.com", "US", "USD", "America/Los_Angeles"),
    ):
        Site.objects.update_or_create(
            code=code,
            defaults={"channel": "amazon", "label": code, "country": country, "currency": currency, "zone": zone},
        )
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="A2TEST")
    rows = [
        ProductRow(
            sku="ALBA-1", brand="Alba", title="Alba kettle steel", category="home_kitchen", eans=("4006381333931",)
        ),
        ProductRow(
            sku="CORVO-1",
            brand="Corvo",
            title="Corvo hand drill",
            category="tools",
            site_categories={"amazon.com": "power_tools"},
            eans=("4006381333948",),
        ),
    ]
    load_products(rows, now=NOW)
    return Shop(account, Brand.objects.get(code="alba"), Brand.objects.get(code="corvo"))
