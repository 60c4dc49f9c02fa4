"""Exact amounts: read from text without guessing, rounded once and half-up, split without losing a cent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext
from functools import cache
from typing import Final, Literal

from domventas.core.errors import DomventasError

Mark = Literal[".", ","]

ZERO: Final = Decimal(0)
#: What separates thousands where the decimal mark is the key; spaces of all kinds and apostrophes go with both.
_THOUSANDS: Final = {".": ",", ",": "."}
_SPACES: Final = " \u00a0\u202f\u2009'\u2019"
_DIGITS: Final = re.compile(r"\d+", re.ASCII)


class NotAnAmount(DomventasError, ValueError):
    """The text is no amount in the stated spelling; nothing is guessed and nothing becomes 0."""

    message = "This is not an amount."


class UnknownCurrency(DomventasError, ValueError):
    """Three letters that are no current ISO 4217 code."""

    message = "Unknown currency."


@dataclass(frozen=True, slots=True)
class Money:
    """An amount with its currency. Adding two currencies is a TypeError; convert first, at a dated rate."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount is a Decimal, not {type(self.amount).__name__}")
        minor_unit(self.currency)

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __mul__(self, factor: Decimal | int) -> Money:
        if not isinstance(factor, Decimal | int):
            raise TypeError(f"money times {type(factor).__name__}")
        return Money(self.amount * factor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def rounded(self) -> Money:
        """To the currency's minor unit, half-up; the last step of a formula."""
        return Money(to_cents(self.amount, self.currency), self.currency)

    def _same(self, other: Money) -> Decimal:
        if not isinstance(other, Money) or other.currency != self.currency:
            raise TypeError(f"{self.currency} with {getattr(other, 'currency', type(other).__name__)}")
        return other.amount


def decimal(text: str, *, decimal_mark: Mark) -> Decimal:
    """The number in a text whose decimal mark is known beforehand, per file or per source.

    Thousands separators are taken where they stand right: "1.234,56" with ",", "1,234.56" with "."; also spaces and
    apostrophes. A minus may stand before or after ("5,00-"), as a hyphen or a true minus.

    Raises: NotAnAmount: empty, another spelling, NaN, Infinity, or an exponent.
    """
    if not isinstance(text, str):
        raise TypeError(f"text, not {type(text).__name__}")
    body = text.strip().replace("\u2212", "-")
    if body.endswith("-") and not body.startswith(("-", "+")):
        body = f"-{body[:-1].rstrip()}"
    sign, digits = (body[:1], body[1:].lstrip()) if body[:1] in ("+", "-") else ("", body)
    whole, _mark, rest = digits.partition(decimal_mark)
    whole = _ungrouped(whole, _THOUSANDS[decimal_mark])
    if not _DIGITS.fullmatch(whole + rest):
        raise NotAnAmount(f"{text!r} is not an amount with the decimal mark {decimal_mark!r}.")
    return Decimal(f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}")


def _ungrouped(whole: str, thousands: str) -> str:
    """Without thousands separators if they stand between groups of three; else as it was, to be refused."""
    for separator in (thousands, *_SPACES):
        if separator in whole:
            groups = rf"\d{{1,3}}(?:{re.escape(separator)}\d{{3}})+"
            return whole.replace(separator, "") if re.fullmatch(groups, whole, re.ASCII) else whole
    return whole


@cache
def _minor_units() -> dict[str, int]:
    """Digits after the point by currency code (ISO 4217, as kept by py-moneyed)."""
    from moneyed import CURRENCIES  # costs 60 ms, so not at start-up

    return {code: len(str(currency.sub_unit)) - 1 for code, currency in CURRENCIES.items()}


def is_currency(code: str) -> bool:
    """Whether it is an ISO 4217 code."""
    return code in _minor_units()


def minor_unit(currency: str) -> int:
    """Digits after the point: EUR 2, JPY 0, KWD 3. Raises: UnknownCurrency."""
    try:
        return _minor_units()[currency]
    except KeyError:
        raise UnknownCurrency(f"{currency!r} is not a currency code.") from None


def minor_units() -> Mapping[str, int]:
    """Digits after the point of every currency there is, by code."""
    return _minor_units()


def quantum(currency: str) -> Decimal:
    """The smallest amount: 0.01 for EUR."""
    return Decimal(1).scaleb(-minor_unit(currency))


def to_cents(amount: Decimal, currency: str) -> Decimal:
    """Rounded half-up (away from zero) to the minor unit. Once, at the last step of a formula.

    Raises: TypeError: not a Decimal. UnknownCurrency.
    """
    if not isinstance(amount, Decimal):
        raise TypeError(f"an amount is a Decimal, not {type(amount).__name__}")
    with localcontext(prec=60):
        return amount.quantize(quantum(currency), rounding=ROUND_HALF_UP)


def split(amount: Decimal, weights: Sequence[Decimal | int], currency: str) -> list[Decimal]:
    """The amount in parts by weight, each in whole minor units, that add up to it exactly.

    What rounding leaves over goes, one unit each, to the largest remainders; among equals to the first. Weights must
    not be negative; if all are zero the parts are equal.

    Raises: ValueError: no weights, a negative one, or an amount finer than the minor unit. TypeError: a float.
    """
    if any(not isinstance(weight, Decimal | int) for weight in weights):
        raise TypeError("weights are Decimals or whole numbers")
    if not weights or any(weight < 0 for weight in weights):
        raise ValueError("weights must be given and not negative")
    if to_cents(amount, currency) != amount:
        raise ValueError(f"{amount} {currency} is finer than the minor unit")
    shares = [Decimal(weight) for weight in weights]
    if not any(shares):
        shares = [Decimal(1)] * len(shares)
    unit = quantum(currency)
    with localcontext(prec=60):
        total = sum(shares, ZERO)
        exact = [amount * share / total for share in shares]
        parts = [part.quantize(unit, rounding=ROUND_DOWN) for part in exact]
        left = int((amount - sum(parts, ZERO)) / unit)
        by_remainder = sorted(range(len(parts)), key=lambda i: (-abs(exact[i] - parts[i]), i))
        for index in by_remainder[: abs(left)]:
            parts[index] += unit.copy_sign(amount)
    return parts


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, or None (unknown) if any part is unknown; 0 for no parts at all."""
    result = ZERO
    for amount in amounts:
        if amount is None:
            return None
        result += amount
    return result
