"""The product master loads as a whole or not at all, and no identifier moves silently."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from catalog.models import Brand, Identifier, Product, Sku
from catalog.services.products import BadProducts, ProductRow, load_products

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
KETTLE = ProductRow(
    sku="ALBA-1", brand="Alba", product="KETTLE", title="Alba kettle", category="home_kitchen", weight_g=900,
    eans=("4006381333931",), seller_skus=(("amazon", "AMZ-ALBA-1"),),
)  # fmt: skip
DRILL = ProductRow(sku="CORVO-1", brand="Corvo", title="Corvo drill", category="tools")


def test_products_load_with_their_identifiers(acting: Any) -> None:
    done = load_products([KETTLE, DRILL], now=NOW)
    assert done.rows == 2
    kettle = Sku.objects.select_related("product__brand").get(code="ALBA-1")
    assert (kettle.product.code, kettle.product.brand.code, kettle.weight_g) == ("KETTLE", "alba", 900)
    assert set(Identifier.objects.filter(sku=kettle).values_list("kind", "channel", "value")) == {
        ("seller_sku", "", "ALBA-1"),
        ("seller_sku", "amazon", "AMZ-ALBA-1"),
        ("ean", "", "4006381333931"),
    }


def test_loading_again_writes_nothing_and_a_change_writes_one_row(acting: Any) -> None:
    load_products([KETTLE, DRILL], now=NOW)
    assert load_products([KETTLE, DRILL], now=NOW).written == 0
    renamed = ProductRow(sku="CORVO-1", brand="Corvo", title="Corvo drill", name="Drill 18 V", category="tools")
    assert load_products([renamed], now=NOW).written == 1
    assert Sku.objects.get(code="CORVO-1").name == "Drill 18 V"
    assert Sku.objects.count() == 2


def test_two_skus_share_a_product(acting: Any) -> None:
    red = ProductRow(sku="ALBA-1R", brand="Alba", product="KETTLE", title="Alba kettle", category="home_kitchen")
    load_products([KETTLE, red], now=NOW)
    assert (Product.objects.count(), Brand.objects.count(), Sku.objects.count()) == (1, 1, 2)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (ProductRow(sku="", brand="Alba", title="x"), "row 2: SKU, brand and title"),
        (ProductRow(sku="ALBA-1", brand="Alba", title="x"), "row 2: ALBA-1 was given before"),
        (
            ProductRow(sku="N", brand="Alba", title="x", eans=("4006381333931",)),
            "4006381333931 already stands for ALBA-1",
        ),
    ],
    ids=["nameless", "twice", "same EAN"],
)
def test_one_bad_row_loads_nothing_and_is_named(acting: Any, bad: ProductRow, words: str) -> None:
    with pytest.raises(BadProducts, match=words):
        load_products([KETTLE, bad], now=NOW)
    assert not Sku.objects.exists()


def test_an_identifier_of_another_sku_is_refused_and_nothing_is_loaded(acting: Any) -> None:
    load_products([KETTLE], now=NOW)
    thief = ProductRow(sku="THIEF", brand="Corvo", title="x", eans=("4006381333931",))
    with pytest.raises(BadProducts, match="already stands for ALBA-1, not for THIEF"):
        load_products([thief], now=NOW)
    assert list(Sku.objects.values_list("code", flat=True)) == ["ALBA-1"]


@pytest.mark.db
def test_the_database_itself_refuses_a_second_sku_for_one_identifier(acting: Any) -> None:
    load_products([KETTLE, DRILL], now=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        Identifier.objects.create(sku=Sku.objects.get(code="CORVO-1"), kind="ean", value="4006381333931")
