"""Published exchange rates, read from a file: one row per currency and day, or the ECB's table of all currencies."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import transaction

from domventas.core.errors import DomventasError
from domventas.core.money import NotAnAmount, decimal, is_currency
from finance.models import ReferenceRate
from finance.models.rates import Purpose


class BadRates(DomventasError, ValueError):
    """A file of rates cannot be read; the message names the row."""

    message = "This file of exchange rates cannot be read."


@dataclass(frozen=True, slots=True)
class RateRow:
    """Units of `currency` for one EUR on a day."""

    currency: str
    day: date
    rate: Decimal
    purpose: str
    source: str


def read_rates(lines: Iterable[str], *, source: str) -> list[RateRow]:
    """Rows of a CSV with the columns `day, currency, rate [, purpose, source]`, or `Date, USD, JPY, …` (ECB).

    Numbers have a decimal point. Raises: BadRates: naming row and column; nothing is guessed.
    """
    reader = csv.DictReader(lines)
    names = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = names
    if {"day", "currency", "rate"} <= set(names):
        take = _long
    elif names[:1] == ["Date"]:
        take = _wide
    else:
        raise BadRates("Row 1: the columns must be day, currency, rate, or Date and one column per currency.")
    rows: list[RateRow] = []
    for number, row in enumerate(reader, start=2):
        try:
            rows += take(row, source)
        except (NotAnAmount, ValueError, TypeError, AttributeError) as error:
            raise BadRates(f"Row {number}: {error}") from error
    return rows


def _long(row: dict[str, str], source: str) -> Iterator[RateRow]:
    purpose = Purpose((row.get("purpose") or Purpose.DAILY).strip()).value
    yield _row(row["currency"], row["day"], row["rate"], purpose, (row.get("source") or source).strip())


def _wide(row: dict[str, str], source: str) -> Iterator[RateRow]:
    for currency, rate in row.items():
        # The ECB writes N/A where a currency did not exist, and ends each line with an empty column.
        if currency and currency != "Date" and rate and rate.strip() not in {"", "N/A"}:
            yield _row(currency, row["Date"], rate, Purpose.DAILY.value, source)


def _row(currency: str, day: str, rate: str, purpose: str, source: str) -> RateRow:
    code = currency.strip()
    if not is_currency(code):
        raise ValueError(f"{code!r} is not a currency code.")
    units = decimal(rate, decimal_mark=".")
    if units <= 0:
        raise ValueError(f"{code}: {rate} is not a rate.")
    return RateRow(code, date.fromisoformat(day.strip()), units, purpose, source)


def load_reference_rates(rows: Iterable[RateRow]) -> tuple[int, int]:
    """Store published rates; returns (new, changed). The same rows again write nothing.

    Published rates belong to no client, so only people who run the installation load them.
    """
    wanted = {(row.currency, row.day, row.purpose): row for row in rows}
    if not wanted:
        return 0, 0
    days = [row.day for row in wanted.values()]
    with transaction.atomic():
        stored = {
            (rate.currency, rate.day, rate.purpose): rate
            for rate in ReferenceRate.objects.filter(day__gte=min(days), day__lte=max(days))
        }
        fresh = [
            ReferenceRate(currency=row.currency, day=row.day, purpose=row.purpose, rate=row.rate, source=row.source)
            for key, row in wanted.items()
            if key not in stored
        ]
        changed = []
        for key in wanted.keys() & stored.keys():
            rate, row = stored[key], wanted[key]
            if (rate.rate, rate.source) != (row.rate, row.source):
                rate.rate, rate.source = row.rate, row.source
                changed.append(rate)
        ReferenceRate.objects.bulk_create(fresh, batch_size=2000)
        ReferenceRate.objects.bulk_update(changed, ["rate", "source"], batch_size=2000)
    return len(fresh), len(changed)
