"""Orders we still have to ship, and the pace at which we have shipped: what the clock of the desk is computed from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django.db import connection

from domventas.core import tenancy, times
from domventas.core.calendars import CLOSES, OPENS, Calendar
from domventas.core.models import CalendarDay

WAITING: Final = """
SELECT o.id, o.external_id, o.account_id, a.code, a.channel, s.code, s.zone, s.country, o.status, o.ship_by,
       o.ordered_at, coalesce(o.stated_total, o.computed_total), o.currency,
       coalesce((SELECT min(l.hold) FROM orders_orderline AS l
                 WHERE l.client_id = %(client)s AND l.order_id = o.id AND l.hold <> ''
                   AND l.status IN ('pending', 'to_accept', 'to_ship', 'part_shipped')), '')
FROM orders_order AS o
JOIN marketplaces_account AS a ON a.client_id = %(client)s AND a.id = o.account_id
JOIN marketplaces_site AS s ON s.id = o.site_id
WHERE o.client_id = %(client)s AND o.fulfillment = 'seller' AND o.status IN ('to_accept', 'to_ship', 'part_shipped')
  AND (o.ship_by < %(until)s OR o.status = 'to_accept' OR o.id = ANY(%(also)s))
ORDER BY o.ship_by NULLS LAST, o.id
"""
SHIPPED: Final = """
SELECT o.account_id, s.code, (l.shipped_at AT TIME ZONE s.zone)::date AS day, count(DISTINCT o.id)
FROM orders_orderline AS l
JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
JOIN marketplaces_site AS s ON s.id = o.site_id
WHERE l.client_id = %(client)s AND l.shipped_at >= %(since)s AND l.shipped_at < %(until)s AND o.fulfillment = 'seller'
GROUP BY 1, 2, 3
"""
#: Days of the same kind that the pace is taken from, and how far they are looked for.
COMPARABLE_DAYS: Final = 4
_LOOKED_BACK: Final = timedelta(days=35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One order we have to ship or accept. `value` is its total [currency]; `hold` says why it must not go yet."""

    order_id: int
    ref: str
    account_id: int
    account: str
    channel: str
    site: str
    zone: str
    country: str
    status: str
    ship_by: datetime | None
    ordered_at: datetime
    value: Decimal | None
    currency: str
    hold: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Orders shipped per working hour on days like this one; None where nothing was shipped on any of them."""

    usual: Decimal | None
    best: Decimal | None
    days: int


class Odds(StrEnum):
    """Whether a wave will be done: at the usual pace, at the best one only, or at neither."""

    FINE = "fine"
    SLOW = "slow"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Orders of one account and site that leave on one day. `left`: working hours until their last ship-by."""

    orders: list[Waiting]
    day: date
    left: Decimal
    pace: Pace
    odds: Odds


def waiting(*, until: datetime, also: Iterable[int] = ()) -> list[Waiting]:
    """Orders of ours with a ship-by before `until`, all that wait to be accepted, and those named by their ids.

    The most urgent come first.
    """
    names = Waiting.__slots__
    with connection.cursor() as cursor:
        known: dict[str, Any] = {"client": tenancy.current().one, "until": until, "also": list(also)}
        cursor.execute(WAITING, known)
        return [Waiting(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def shipped_by_day(*, now: datetime) -> dict[tuple[int, str], dict[date, int]]:
    """Orders shipped per (account, site) and local day of the last five weeks."""
    found: dict[tuple[int, str], dict[date, int]] = defaultdict(dict)
    known: dict[str, Any] = {"client": tenancy.current().one, "since": now - _LOOKED_BACK, "until": now}
    with connection.cursor() as cursor:
        cursor.execute(SHIPPED, known)
        for account, site, day, orders in cursor.fetchall():
            found[account, site][day] = orders
    return found


def calendars(
    places: Iterable[tuple[str, str]], *, opens: time = OPENS, closes: time = CLOSES
) -> dict[tuple[str, str], Calendar]:
    """The calendar of each (zone, country), with what the client decided otherwise; one query."""
    changed: dict[str, dict[date, bool]] = defaultdict(dict)
    for country, day, is_worked in CalendarDay.objects.values_list("country", "day", "is_worked"):
        changed[country][day] = is_worked
    return {
        (zone, country): Calendar(zone=zone, country=country, changed=changed[country], opens=opens, closes=closes)
        for zone, country in set(places)
    }


def pace(by_day: dict[date, int], calendar: Calendar, *, today: date) -> Pace:
    """The pace of the last four days of this weekday that were worked."""
    per_hour: list[Decimal] = []
    for weeks in range(1, int(_LOOKED_BACK / timedelta(weeks=1)) + 1):
        day = today - timedelta(weeks=weeks)
        hours = calendar.hours_of(day)
        if hours is None or len(per_hour) == COMPARABLE_DAYS:
            continue
        length = Decimal((hours[1] - hours[0]).total_seconds()) / 3600
        per_hour.append(Decimal(by_day.get(day, 0)) / length)
    shipped = sum(per_hour, Decimal(0))
    if not shipped:
        return Pace(usual=None, best=None, days=len(per_hour))
    return Pace(usual=shipped / len(per_hour), best=max(per_hour), days=len(per_hour))


def waves(orders: Iterable[Waiting], places: Mapping[tuple[str, str], Calendar], *, now: datetime) -> list[Wave]:
    """Orders with a ship-by ahead, by account, site and local day, each held against its pace; one query."""
    found: dict[tuple[int, str, date], list[Waiting]] = defaultdict(list)
    for row in orders:
        if row.ship_by is not None:
            found[row.account_id, row.site, times.day_in(row.zone, row.ship_by)].append(row)
    shipped = shipped_by_day(now=now) if found else {}
    return [
        _wave(rows, day, shipped.get((account, site), {}), places[rows[0].zone, rows[0].country], now)
        for (account, site, day), rows in sorted(found.items())
    ]


def _wave(rows: list[Waiting], day: date, by_day: dict[date, int], calendar: Calendar, now: datetime) -> Wave:
    last = max(row.ship_by for row in rows if row.ship_by)
    left = Decimal(max(calendar.working_time(now, last), timedelta(0)).total_seconds()) / 3600
    at = pace(by_day, calendar, today=times.day_in(calendar.zone, now))
    odds = Odds.FINE
    if at.usual is not None and at.best is not None and len(rows) > at.usual * left:
        odds = Odds.LOST if len(rows) > at.best * left else Odds.SLOW
    return Wave(orders=rows, day=day, left=left, pace=at, odds=odds)
