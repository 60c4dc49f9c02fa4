"""Loading a price list of unit costs: new rows, changed rows, and those refused in words because they contradict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Final

from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange
from django.utils.translation import gettext as _

from catalog.models import Sku
from domventas.core.money import is_currency
from finance.models import SkuCost

Key = tuple[int, str, str, str]
COMPONENTS: Final = ("purchase", "shipping", "customs", "insurance", "additional")


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """One row of a price list: cost of one unit [currency] from `valid_from` up to, not including, `valid_to`."""

    row: int
    sku: str
    currency: str
    valid_from: date
    valid_to: date | None = None
    purchase: Decimal
    shipping: Decimal = Decimal(0)
    customs: Decimal = Decimal(0)
    insurance: Decimal = Decimal(0)
    additional: Decimal = Decimal(0)
    vat_rate: Decimal | None = None
    is_vat_recoverable: bool = True
    warehouse: str = ""
    vendor: str = ""
    source: str = ""

    @property
    def valid(self) -> DateRange:
        """The days it holds."""
        return DateRange(self.valid_from, self.valid_to, "[)")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that was not loaded: which one, which field, and why, for the person who wrote it."""

    row: int
    field: str
    message: str


@dataclass(slots=True)
class LoadedCosts:
    """What became of a price list."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


def load_costs(rows: Iterable[CostRow]) -> LoadedCosts:
    """Load a price list whole, or nothing of it when a row is refused.

    A row with the key and first day of a stored one replaces it; any other overlap in time of the same SKU,
    warehouse, vendor and currency is refused, naming both rows. Constant number of queries.
    """
    result = LoadedCosts()
    listed = list(rows)
    codes = {row.sku for row in listed}
    skus = {code: pk for pk, code in Sku.objects.filter(code__in=codes).values_list("pk", "code")}
    by_key: dict[Key, list[CostRow]] = defaultdict(list)
    for row in listed:
        if problem := _problem(row, skus):
            result.refused.append(problem)
        else:
            by_key[skus[row.sku], row.warehouse, row.vendor, row.currency].append(row)
    stored: dict[Key, list[SkuCost]] = defaultdict(list)
    for cost in SkuCost.objects.filter(sku_id__in={key[0] for key in by_key}):
        stored[cost.sku_id, cost.warehouse, cost.vendor, cost.currency].append(cost)
    fresh: list[SkuCost] = []
    changed: list[SkuCost] = []
    for key, wanted in by_key.items():
        result.refused += _overlaps(wanted, stored[key])
        _plan(key, wanted, stored[key], fresh, changed, result)
    if result.refused:
        result.refused.sort(key=lambda refused: refused.row)
        return LoadedCosts(refused=result.refused)
    with transaction.atomic():
        # First days never change here, so shortened rows first and then new ones cannot collide on the way.
        SkuCost.objects.bulk_update(changed, [*COMPONENTS, *_OTHERS], batch_size=1000)
        SkuCost.objects.bulk_create(fresh, batch_size=1000)
    result.inserted, result.updated = len(fresh), len(changed)
    return result


_OTHERS: Final = ("vat_rate", "is_vat_recoverable", "source", "valid")


def _problem(row: CostRow, skus: dict[str, int]) -> RefusedRow | None:
    if row.sku not in skus:
        return RefusedRow(row.row, "sku", _("There is no SKU %(sku)s.") % {"sku": row.sku})
    if not is_currency(row.currency):
        return RefusedRow(row.row, "currency", _("%(code)s is not a currency code.") % {"code": row.currency})
    if row.valid_to is not None and row.valid_to <= row.valid_from:
        words = _("It would end (%(end)s) before it begins (%(start)s).")
        return RefusedRow(row.row, "valid_to", words % {"end": row.valid_to, "start": row.valid_from})
    for name in COMPONENTS:
        if getattr(row, name) < 0:
            return RefusedRow(row.row, name, _("A cost is not negative."))
    return None


def _overlaps(wanted: Sequence[CostRow], stored: Sequence[SkuCost]) -> list[RefusedRow]:
    """Overlaps within the list and with stored rows it does not replace."""
    refused = []
    ordered = sorted(wanted, key=lambda row: (row.valid_from, row.row))
    for one, other in pairwise(ordered):
        if one.valid_to is None or other.valid_from < one.valid_to:
            words = _("Overlaps row %(row)s of this list: both hold on %(day)s.")
            refused.append(RefusedRow(other.row, "valid_from", words % {"row": one.row, "day": other.valid_from}))
    starts = {row.valid_from for row in wanted}
    for cost in stored:
        if cost.valid.lower in starts:
            continue
        for row in wanted:
            if _meet(row.valid, cost.valid):
                words = _("Overlaps the stored cost valid from %(start)s to %(end)s; end that one first.")
                period = {"start": cost.valid.lower or "…", "end": cost.valid.upper or "…"}
                refused.append(RefusedRow(row.row, "valid_from", words % period))
    return refused


def _meet(one: DateRange, other: DateRange) -> bool:
    first = one.upper is None or other.lower is None or other.lower < one.upper
    return first and (other.upper is None or one.lower is None or one.lower < other.upper)


def _plan(
    key: Key,
    wanted: Sequence[CostRow],
    stored: Sequence[SkuCost],
    fresh: list[SkuCost],
    changed: list[SkuCost],
    result: LoadedCosts,
) -> None:
    """Sort rows into new, changed and equal ones."""
    by_start = {cost.valid.lower: cost for cost in stored}
    for row in wanted:
        values = {name: getattr(row, name) for name in (*COMPONENTS, *_OTHERS)}
        cost = by_start.get(row.valid_from)
        if cost is None:
            sku_id, warehouse, vendor, currency = key
            fresh.append(SkuCost(sku_id=sku_id, warehouse=warehouse, vendor=vendor, currency=currency, **values))
        elif any(getattr(cost, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(cost, name, value)
            changed.append(cost)
        else:
            result.unchanged += 1
