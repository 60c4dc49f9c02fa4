"""Exchange rates of a day and what an amount is in another currency, with the rate and its source beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import F

from domventas.core.money import to_cents
from finance.models import ExchangeRate, ReferenceRate
from finance.models.rates import Purpose

BASE: Final = "EUR"
#: A rate older than this is no rate: on the Tuesday after Easter the newest is that of Thursday, until the afternoon.
OLDEST: Final = timedelta(days=5)
#: The UAE dirham is pegged to the US dollar by its central bank; the ECB publishes no rate for it.
PEGS: Final = {"AED": ("USD", Decimal("3.6725"))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Units of `currency` for one EUR, as of `day`, which may lie a few days back."""

    currency: str
    units: Decimal
    day: date
    source: str
    is_derived: bool = False
    is_own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """An amount in another currency: rounded once, with the rate used (units of `to` for one of `currency`)."""

    amount: Decimal
    currency: str
    rate: Decimal
    day: date
    source: str
    is_derived: bool


@dataclass(frozen=True, slots=True)
class RateBook:
    """All rates in force on one day for one purpose."""

    rates: Mapping[str, Rate]
    day: date

    def rate(self, currency: str) -> Rate | None:
        """The currency's rate: the client's own, else the published one, else by its peg; else None."""
        if currency == BASE:
            return Rate(currency=BASE, units=Decimal(1), day=self.day, source="")
        if currency in self.rates:
            return self.rates[currency]
        anchor, units = PEGS.get(currency, ("", Decimal(0)))
        pegged = self.rates.get(anchor)
        if pegged is None:
            return None
        return Rate(
            currency=currency,
            units=pegged.units * units,
            day=pegged.day,
            source=f"{anchor} × {units} ({pegged.source})",
            is_derived=True,
            is_own=pegged.is_own,
        )

    def convert(self, amount: Decimal, currency: str, to: str) -> Converted | None:
        """The amount in another currency, rounded half-up once to its minor unit; None without a rate."""
        if currency == to:
            same = Decimal(1)
            return Converted(
                amount=to_cents(amount, to), currency=to, rate=same, day=self.day, source="", is_derived=False
            )
        one, other = self.rate(currency), self.rate(to)
        if one is None or other is None:
            return None
        used = [rate for rate in (one, other) if rate.source]
        return Converted(
            amount=to_cents(amount * other.units / one.units, to),
            currency=to,
            rate=other.units / one.units,
            day=min((rate.day for rate in used), default=self.day),
            source=", ".join(dict.fromkeys(rate.source for rate in used)),
            is_derived=any(rate.is_derived for rate in used),
        )


def rates_on(day: date, purpose: str = Purpose.DAILY) -> RateBook:
    """The rates of a day: for each currency the newest one, at most five days old; two queries."""
    since = day - OLDEST
    rates: dict[str, Rate] = {}
    published = (
        ReferenceRate.objects.filter(purpose=purpose, day__gte=since, day__lte=day)
        .order_by("currency", F("day").desc())
        .distinct("currency")
    )
    for row in published:
        rates[row.currency] = Rate(
            currency=row.currency, units=row.rate, day=row.day, source=row.source, is_derived=row.is_derived
        )
    own = (
        ExchangeRate.objects.filter(purpose=purpose, day__gte=since, day__lte=day)
        .order_by("currency", F("day").desc())
        .distinct("currency")
    )
    for mine in own:
        rates[mine.currency] = Rate(
            currency=mine.currency, units=mine.rate, day=mine.day, source=mine.source, is_own=True
        )
    return RateBook(rates, day)


def convert(amount: Decimal, currency: str, to: str, *, day: date, purpose: str = Purpose.DAILY) -> Converted | None:
    """One amount at the rate of a day; None when no rate is known. For many amounts take `rates_on` once."""
    return rates_on(day, purpose).convert(amount, currency, to)
