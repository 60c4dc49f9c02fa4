"""Moments and days: aware UTC inside the house, the marketplace's or client's zone only at the edge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from domventas.core.errors import DomventasError

#: ISO 8601 as the marketplaces write it: "T" or a space, any number of fraction digits, Z, +0000 or +00:00.
_ISO: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)(?:[.,](\d+))?\s*(Z|z|[+-]\d{2}(?::?\d{2})?)", re.ASCII
)


class NotAMoment(DomventasError, ValueError):
    """The text or value is no moment: unreadable, or without a zone."""

    message = "This is not a moment with a time zone."


def utc(text: str) -> datetime:
    """The moment in an ISO 8601 text, as aware UTC; fractions beyond the microsecond are cut off.

    Raises: NotAMoment: another spelling, or no zone: a zone is never guessed.
    """
    match = _ISO.fullmatch(text.strip())
    if not match:
        raise NotAMoment(f"{text!r} is not a moment with a time zone.")
    day, clock, fraction, zone = match.groups()
    clock = clock if len(clock) > 5 else f"{clock}:00"
    zone = "+00:00" if zone in "Zz" else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAMoment(f"{text!r} is not a moment.") from None


def iso(moment: datetime) -> str:
    """The moment as marketplaces take it: 2026-11-21T06:10:00Z. Raises: NotAMoment: no zone."""
    return aware(moment).isoformat(timespec="seconds").replace("+00:00", "Z")


def aware(moment: datetime) -> datetime:
    """The same moment in UTC. Raises: NotAMoment: no zone."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise NotAMoment(detail=repr(moment))
    return moment.astimezone(UTC)


@lru_cache(maxsize=128)
def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises: NotAMoment: there is none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise NotAMoment(f"{name!r} is not a time zone.") from None


def day_in(zone_name: str, moment: datetime) -> date:
    """The calendar day on which the moment falls there."""
    return aware(moment).astimezone(zone(zone_name)).date()


def start_of(day: date, zone_name: str) -> datetime:
    """The first moment of a day there, as UTC; where midnight is skipped by the clock change, the first that exists."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone(zone_name))
    return local.astimezone(UTC)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Days from `start` up to, not including, `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if isinstance(self.start, datetime) or isinstance(self.end, datetime):
            raise TypeError("a period is made of days")
        if self.end < self.start:
            raise ValueError(f"a period cannot end ({self.end}) before it starts ({self.start})")

    @property
    def days(self) -> int:
        """Its length [days]."""
        return (self.end - self.start).days

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __iter__(self) -> Iterator[date]:
        return (self.start + timedelta(days=offset) for offset in range(self.days))

    def before(self) -> Period:
        """The period of the same length right before it, for comparisons."""
        return Period(self.start - timedelta(days=self.days), self.start)

    def moments(self, zone_name: str) -> tuple[datetime, datetime]:
        """First moment in, first moment out, for a zone's days."""
        return start_of(self.start, zone_name), start_of(self.end, zone_name)

    def last_day(self) -> date:
        """The last day in it, for people. Raises: ValueError: it has no day."""
        if not self.days:
            raise ValueError("an empty period has no last day")
        return self.end - timedelta(days=1)


def month_of(day: date) -> Period:
    """The calendar month of a day."""
    first = date(day.year, day.month, 1)
    return Period(first, (first + timedelta(days=32)).replace(day=1))
