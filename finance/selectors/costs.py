"""What a unit cost on a day, by its price list: the row for the warehouse, else the one for everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from domventas.core import tenancy

#: What was asked: SKU id, day, warehouse code or "" for anywhere.
Asked = tuple[int, date, str]

_COSTS: Final = """
SELECT a.sku_id, a.day, a.warehouse, c.currency, c.purchase, c.shipping, c.customs, c.insurance, c.additional,
       c.vat_rate, c.is_vat_recoverable, c.warehouse, c.vendor, lower(c.valid), c.source
FROM unnest(%(skus)s::bigint[], %(days)s::date[], %(warehouses)s::text[]) AS a(sku_id, day, warehouse)
CROSS JOIN LATERAL (
    SELECT * FROM finance_skucost AS c
    WHERE c.client_id = %(client)s AND c.sku_id = a.sku_id AND c.valid @> a.day
      AND c.warehouse IN (a.warehouse, '') AND (%(vendor)s::text IS NULL OR c.vendor IN (%(vendor)s, ''))
    ORDER BY c.warehouse <> a.warehouse, c.vendor <> coalesce(%(vendor)s, ''), lower(c.valid) DESC NULLS LAST, c.id
    LIMIT 1
) AS c
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Landed cost of one unit by the price list [currency], with its parts and where it comes from.

    `vat` is the supplier's tax where it cannot be recovered, else 0. The cost of a sale is that of the receipt it was
    taken from; this price list stands in as long as no receipt is known.
    """

    currency: str
    purchase: Decimal
    shipping: Decimal
    customs: Decimal
    insurance: Decimal
    additional: Decimal
    vat: Decimal
    warehouse: str
    vendor: str
    valid_from: date | None
    source: str

    @property
    def total(self) -> Decimal:
        """All parts, unrounded."""
        return self.purchase + self.shipping + self.customs + self.insurance + self.additional + self.vat


def cost_of(sku_id: int, day: date, *, warehouse: str = "", vendor: str | None = None) -> Cost | None:
    """The price-list cost of one unit valid on a day, or None: an unknown cost is never 0."""
    return costs_of([(sku_id, day, warehouse)], vendor=vendor).get((sku_id, day, warehouse))


def costs_of(asked: Iterable[Asked], *, vendor: str | None = None) -> Mapping[Asked, Cost]:
    """The costs of many units in one query; what has no cost is missing from the answer.

    Where several vendors have a price, the one asked for wins, then the one for any vendor, then the newest.
    """
    wanted = sorted(set(asked))
    if not wanted:
        return {}
    params: dict[str, Any] = {
        "client": tenancy.current().one,
        "skus": [row[0] for row in wanted],
        "days": [row[1] for row in wanted],
        "warehouses": [row[2] for row in wanted],
        "vendor": vendor,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COSTS, params)
        rows = cursor.fetchall()
    return {(row[0], row[1], row[2]): _cost(row[3:]) for row in rows}


def _cost(row: tuple) -> Cost:  # type: ignore[type-arg]  # as the driver gives it
    currency, purchase, shipping, customs, insurance, additional, vat_rate, recoverable, *rest = row
    warehouse, vendor, valid_from, source = rest
    return Cost(
        currency=currency,
        purchase=purchase,
        shipping=shipping,
        customs=customs,
        insurance=insurance,
        additional=additional,
        vat=Decimal(0) if recoverable or vat_rate is None else purchase * vat_rate,
        warehouse=warehouse,
        vendor=vendor,
        valid_from=valid_from,
        source=source,
    )
