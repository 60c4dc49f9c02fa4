"""What does not get through at the border although it should: failing calls, waiting records, odd fields, thin days."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Count, Min, Q

from marketplaces.models import Account, Quarantined, SchemaDrift, StreamDay, SyncWindow

HOUR: Final = timedelta(hours=1)
#: Weeks a day is compared with, and how many rows are expected at least before a day is judged by itself.
WEEKS, ENOUGH = 4, 20
#: A day as thin as this comes by chance once in a thousand.
CHANCE: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One flow of one account."""

    account_id: int
    account: str
    channel: str
    flow: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """Readings of the last hour: how many, and how many of them failed."""

    place: Place
    readings: int
    failed: int

    @property
    def share(self) -> Decimal:
        """Failed ÷ readings."""
        return Decimal(self.failed) / self.readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Records in quarantine, and since when the first of them waits."""

    place: Place
    records: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """A field or value nobody described, seen often."""

    place: Place
    path: str
    value: str
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thin:
    """A span of days that brought far fewer rows than the same days of the weeks before."""

    place: Place
    day: date
    days: int
    rows: int
    expected: Decimal


def failing(*, now: datetime, at_least: int) -> list[Failing]:
    """Flows with at least so many finished readings in the last hour of which one failed; one query."""
    rows = (
        SyncWindow.objects.filter(started_at__gt=now - HOUR, started_at__lte=now)
        .exclude(status=SyncWindow.Status.RUNNING)
        .order_by("stream__account__code", "stream__flow")
        .values_list("stream__account", "stream__account__name", "stream__account__channel", "stream__flow")
        .annotate(readings=Count("pk"), failed=Count("pk", filter=Q(status=SyncWindow.Status.FAILED)))
    )
    return [
        Failing(place=_place(*row[:4]), readings=row[4], failed=row[5]) for row in rows if row[4] >= at_least and row[5]
    ]


def held(*, before: datetime) -> list[Held]:
    """Records that have been in quarantine since before then, by flow; one query."""
    rows = (
        Quarantined.objects.filter(resolved_at=None, first_seen_at__lt=before)
        .order_by("account__code", "flow")
        .values_list("account", "account__name", "account__channel", "flow")
        .annotate(records=Count("pk"), since=Min("first_seen_at"))
    )
    return [Held(place=_place(*row[:4]), records=row[4], since=row[5]) for row in rows]


def odd(*, at_least: int, since: datetime) -> list[Odd]:
    """Undescribed fields and values seen at least so often, and still since then; one query."""
    rows = (
        SchemaDrift.objects.filter(seen_count__gte=at_least, last_seen_at__gte=since)
        .order_by("account__code", "flow", "path", "value")
        .values_list("account", "account__name", "account__channel", "flow", "path", "value", "seen_count")
    )
    return [Odd(place=_place(*row[:4]), path=row[4], value=row[5], seen=row[6]) for row in rows]


def thin(flow: str, *, today: date) -> list[Thin]:
    """Accounts whose yesterday was far too thin; where a day brings too little to tell, the last week; two queries."""
    since = today - timedelta(days=7 * (WEEKS + 1))
    by_account: dict[int, dict[date, int]] = defaultdict(dict)
    days = StreamDay.objects.filter(flow=flow, day__gte=since, day__lt=today)
    for account_id, day, accepted in days.values_list("account", "day", "accepted"):
        by_account[account_id][day] = accepted
    found = []
    for account in Account.objects.filter(pk__in=by_account):
        rows = by_account[account.pk]
        if min(rows) > since + timedelta(days=7):
            continue  # too young to have a usual
        place = _place(account.pk, account.name, account.channel, flow)
        for length in (1, 7):
            last = sum(rows.get(today - timedelta(days=n), 0) for n in range(1, length + 1))
            before = [
                sum(rows.get(today - timedelta(days=7 * week + n), 0) for n in range(1, length + 1))
                for week in range(1, WEEKS + 1)
            ]
            expected = Decimal(sum(before)) / WEEKS
            if expected >= ENOUGH:
                if by_chance(last, float(expected)) < CHANCE:
                    day = today - timedelta(days=1)
                    found.append(Thin(place=place, day=day, days=length, rows=last, expected=expected))
                break
    return found


def by_chance(rows: int, expected: float) -> float:
    """Probability of so few rows or fewer where they come independently of each other (Poisson)."""
    logs = [n * math.log(expected) - expected - math.lgamma(n + 1) for n in range(rows + 1)]
    top = max(logs)
    return min(1.0, math.exp(top) * sum(math.exp(log - top) for log in logs))


def today_of(now: datetime) -> date:
    """The UTC day that days of streams are counted by."""
    return now.astimezone(UTC).date()


def _place(account_id: int, account: str, channel: str, flow: str) -> Place:
    return Place(account_id=account_id, account=account, channel=channel, flow=flow)
