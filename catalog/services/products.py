"""Loading the product master: brands, products, SKUs and the ids others use for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.text import slugify

from catalog.models import Brand, Identifier, Product, Sku
from catalog.services import mapping
from domventas.core import bulk
from domventas.core.errors import DomventasError
from marketplaces.signals import article_corrected

Kind = Identifier.Kind


class BadProducts(DomventasError, ValueError):
    """Some rows of the product master are wrong; nothing was loaded."""

    message = "The product master has rows that cannot be loaded."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRow:
    """One SKU of the product master.

    Attributes:
        brand: the brand's name.
        product: the product's code; empty = the SKU is a product of its own.
        category: for every site that `site_categories` (category by site code) does not name.
        weight_g: packed weight [g]; None = unknown.
        eans, asins: worldwide numbers. seller_skus: (channel, value), an empty channel = on every channel.
    """

    sku: str
    brand: str
    title: str
    product: str = ""
    name: str = ""
    category: str = ""
    site_categories: Mapping[str, str] = field(default_factory=dict)
    weight_g: int | None = None
    eans: tuple[str, ...] = ()
    asins: tuple[str, ...] = ()
    seller_skus: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ProductsLoaded:
    """What a load did: rows given, rows new or changed, unmapped offers it explained."""

    rows: int
    written: int
    settled: int


def load_products(rows: Iterable[ProductRow], *, now: datetime) -> ProductsLoaded:
    """Load or update the product master as a whole or in part; a SKU's own code also counts as its seller SKU.

    SKUs that are not in the rows stay as they are. Offers and order lines that waited for one of the ids are released.

    Raises:
        BadProducts: a row without SKU, brand or title, a SKU twice, or an identifier that two SKUs claim.
    """
    given = list(rows)
    identifiers = _checked(given)
    with transaction.atomic():
        before = _asked(given)
        done = bulk.upsert(Brand, ("code", "name"), _brands(given), ("code",), compare=(), returning=True)
        brand_of = {code: pk for (code,), pk in done.ids.items()}
        products = {
            row.product or row.sku: (
                brand_of[_code(row.brand)], row.product or row.sku, row.title, _category(row), dict(row.site_categories)
            )
            for row in given
        }  # fmt: skip
        columns = ("brand", "code", "title", "category", "site_categories")
        product = bulk.upsert(Product, columns, products.values(), ("code",), returning=True)
        skus = [(product.ids[row.product or row.sku,], row.sku, row.name or row.title, row.weight_g) for row in given]
        sku = bulk.upsert(Sku, ("product", "code", "name", "weight_g"), skus, ("code",), returning=True)
        _refuse_taken(identifiers, {code: pk for (code,), pk in sku.ids.items()})
        named = bulk.upsert(
            Identifier,
            ("kind", "channel", "value", "sku"),
            [(*key, sku.ids[code,]) for key, code in identifiers.items()],
            ("kind", "channel", "value"),
        )
        corrected([pk for pk, facts in _asked(given).items() if before.get(pk, facts) != facts], now=now)
        settled = mapping.resolve_known(now=now)
    mapping.suggest()
    written = sum(part.inserted + part.updated for part in (done, product, sku, named))
    return ProductsLoaded(len(given), written, settled)


def corrected(sku_ids: Collection[int], *, now: datetime) -> None:
    """Tell that weight or category of these SKUs are others now: what they sold is judged by them anew."""
    if sku_ids:
        article_corrected.send(Sku, sku_ids=list(sku_ids), now=now)


def _asked(rows: list[ProductRow]) -> dict[int, tuple[Any, ...]]:
    """What fees ask of the SKUs of these products, by their key; one query."""
    mine = Sku.objects.filter(
        Q(code__in=[x.sku for x in rows]) | Q(product__code__in={x.product or x.sku for x in rows})
    )
    found = mine.values_list("pk", "weight_g", "product__category", "product__site_categories")
    return {pk: tuple(facts) for pk, *facts in found}


def _checked(rows: list[ProductRow]) -> dict[tuple[str, str, str], str]:
    """SKU code by identifier. Raises: BadProducts, naming every bad row (at most twenty)."""
    problems: list[str] = []
    claimed: dict[tuple[str, str, str], str] = {}
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        if not (row.sku and row.brand and row.title):
            problems.append(f"row {number}: SKU, brand and title are needed")
        if row.sku in seen:
            problems.append(f"row {number}: {row.sku} was given before")
        seen.add(row.sku)
        problems += [
            f"row {number}: {key[0]} {key[2]} already stands for {claimed[key]}"
            for key in _keys(row)
            if claimed.setdefault(key, row.sku) != row.sku
        ]
    if problems:
        raise BadProducts("; ".join(problems[:20]))
    return claimed


def _keys(row: ProductRow) -> Iterable[tuple[str, str, str]]:
    yield Kind.SELLER_SKU.value, "", row.sku
    yield from ((Kind.SELLER_SKU.value, channel, value) for channel, value in row.seller_skus)
    yield from ((Kind.EAN.value, "", value) for value in row.eans)
    yield from ((Kind.ASIN.value, "", value) for value in row.asins)


def _refuse_taken(identifiers: Mapping[tuple[str, str, str], str], pk_of: Mapping[str, int]) -> None:
    """An identifier never moves silently from one SKU to another."""
    values = sorted({value for _kind, _channel, value in identifiers})
    stored = Identifier.objects.filter(value__in=values).select_related("sku")
    taken = [
        f"{one.kind} {one.value} already stands for {one.sku.code}, not for {identifiers[key]}"
        for one in stored
        if (key := (one.kind, one.channel, one.value)) in identifiers and one.sku_id != pk_of[identifiers[key]]
    ]
    if taken:
        raise BadProducts("; ".join(taken[:20]))


def _brands(rows: list[ProductRow]) -> list[tuple[str, str]]:
    return list({_code(row.brand): (_code(row.brand), row.brand) for row in rows}.values())


def _category(row: ProductRow) -> str:
    """The category for sites nobody named; where all named sites agree, what they say."""
    said = set(row.site_categories.values())
    return row.category or (said.pop() if len(said) == 1 else "")


def _code(brand: str) -> str:
    return slugify(brand)[:60]
