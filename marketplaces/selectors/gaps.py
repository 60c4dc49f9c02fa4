"""What is missing: windows never read, days that lost rows, orders that money names and nobody has told us of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Max, Min

from domventas.core.times import start_of
from marketplaces.loaders import loaders
from marketplaces.models import Account, Stream, StreamDay
from marketplaces.port import Flow
from marketplaces.registry import connectors

Span = tuple[datetime, datetime]

GAPS = """
SELECT lower(gap), upper(gap) FROM (
    SELECT unnest(tstzmultirange(tstzrange(%(since)s, %(until)s, '[)')) - coverage) AS gap
    FROM marketplaces_stream WHERE id = %(id)s AND client_id = %(client)s) found
ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayGap:
    """A day of which fewer rows are stored than were accepted."""

    day: date
    accepted: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGap:
    """An order that a money document names and that was never pulled."""

    order_ref: str
    named_on: date
    named_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The time a stream answers for: from `floor`, the first moment worth asking for, up to `until`."""

    floor: datetime
    until: datetime


order_gap_finders: list[Callable[[Account], Iterable[OrderGap]]] = []
"""Apps above put a function here that names orders their documents know and the orders app does not."""


def horizon(account: Account, flow: Flow, *, now: datetime) -> Horizon:
    """As far back as the provider answers and the account wants, up to shortly before now."""
    until = now - flow.lag
    floor = now - flow.history
    if account.cutover_on is not None:
        floor = max(floor, _first_moment(account, account.cutover_on))
    return Horizon(floor=min(floor, until), until=until)


def _first_moment(account: Account, day: date) -> datetime:
    """When the day begins, at the first of the marketplace's sites it begins at."""
    connector = connectors.get(account.channel)
    zones = {site.zone for site in connector.sites} if connector else {"UTC"}
    return min(start_of(day, zone) for zone in zones)


def uncovered(stream: Stream, span: Horizon) -> list[Span]:
    """What of the span was never read completely, oldest first."""
    if span.floor >= span.until:
        return []
    with connection.cursor() as cursor:
        known: dict[str, Any] = {"since": span.floor, "until": span.until, "id": stream.pk, "client": stream.client_id}
        cursor.execute(GAPS, known)
        return [(since, until) for since, until in cursor.fetchall()]


def short_days(stream: Stream) -> list[DayGap]:
    """The days of a stream that have lost rows, oldest first."""
    accepted = dict(_days(stream).order_by("day").values_list("day", "accepted"))
    stored = stored_by_day(stream)
    return [
        DayGap(day=day, accepted=count, stored=stored.get(day, 0))
        for day, count in accepted.items()
        if count > stored.get(day, 0)
    ]


def stored_by_day(stream: Stream) -> Mapping[date, int]:
    """Rows stored now on the days the stream has brought rows for."""
    ends = _days(stream).aggregate(first=Min("day"), last=Max("day"))
    if ends["first"] is None:
        return {}
    loader = loaders[stream.flow]
    return loader.count_by_day(stream.account, ends["first"], ends["last"] + timedelta(days=1))


def unknown_orders(account: Account) -> list[OrderGap]:
    """Orders of an account that documents of other apps name and that were never pulled."""
    return [gap for find in order_gap_finders for gap in find(account)]


def _days(stream: Stream) -> models.QuerySet[StreamDay]:
    return StreamDay.objects.filter(account=stream.account_id, flow=stream.flow)
