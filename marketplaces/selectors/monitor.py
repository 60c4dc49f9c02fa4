"""Which flow of which account can be trusted now: how old, how complete, what failed, what waits for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import connection
from django.db.models import Count

from domventas.core import tenancy
from marketplaces.models import Account, Quarantined, ReportJob, SchemaDrift, Stream, SyncWindow
from marketplaces.port import Flow
from marketplaces.registry import connectors
from marketplaces.selectors.gaps import horizon

HOLES = """
SELECT s.id, count(*) FROM unnest(%(ids)s::bigint[], %(floors)s::timestamptz[], %(ends)s::timestamptz[])
    AS given (id, floor, until)
JOIN marketplaces_stream s ON s.id = given.id AND s.client_id = %(client)s
CROSS JOIN LATERAL unnest(tstzmultirange(tstzrange(given.floor, given.until, '[)')) - s.coverage) AS gap
WHERE gap << tstzrange(upper(s.coverage), NULL)
GROUP BY s.id
"""
DAY: Final = timedelta(days=1)


class Health(StrEnum):
    """How a stream is, the worst first."""

    BROKEN = "broken"
    FORBIDDEN = "forbidden"
    FAILING = "failing"
    LATE = "late"
    NEVER = "never"
    PAUSED = "paused"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One flow of one account.

    Attributes:
        complete_until: up to when everything is here; None before the first complete reading.
        age: how long ago that was; None as above.
        target: older than this is late.
        gaps: holes in the time read so far; what came after the newest reading is lateness, not a hole.
        failed_windows: readings that failed within the last day.
        reports: asynchronous reports under way.
        quarantined, drift: records and places that wait for people.
    """

    stream_id: int
    account_id: int
    account: str
    channel: str
    flow: str
    health: Health
    complete_until: datetime | None
    last_success_at: datetime | None
    last_started_at: datetime | None
    age: timedelta | None
    target: timedelta
    gaps: int
    failures: int
    failed_windows: int
    last_error: str
    last_error_at: datetime | None
    quarantined: int
    drift: int
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What the trust line says: everything is here up to `complete_until`, except for the late ones."""

    complete_until: datetime | None
    late: list[Row]
    streams: int
    quarantined: int


def rows(*, now: datetime) -> list[Row]:
    """Every stream of the client, by account and flow; a constant number of queries."""
    streams = [
        stream
        for stream in Stream.objects.select_related("account").order_by("account__code", "flow")
        if stream.flow in _flows(stream.account)
    ]
    holes = _holes(streams, now=now)
    quarantined = _counts(Quarantined.objects.filter(resolved_at=None).values_list("account_id", "flow"))
    drift = _counts(SchemaDrift.objects.values_list("account_id", "flow"))
    failed = _per_stream(SyncWindow.objects.filter(status="failed", started_at__gt=now - DAY).values_list("stream_id"))
    jobs = ReportJob.objects.filter(status__in=["requested", "processing", "ready"])
    reports = _per_stream(jobs.values_list("stream_id"))
    return [
        _row(
            stream,
            now=now,
            gaps=holes.get(stream.pk, 0),
            quarantined=quarantined.get((stream.account_id, stream.flow), 0),
            drift=drift.get((stream.account_id, stream.flow), 0),
            failed_windows=failed.get(stream.pk, 0),
            reports=reports.get(stream.pk, 0),
        )
        for stream in streams
    ]


def trust(found: Iterable[Row]) -> Trust:
    """The trust line's facts from the monitor's rows; paused streams were paused by people and say nothing."""
    watched = [row for row in found if row.health != Health.PAUSED]
    moments = [row.complete_until for row in watched]
    known = [moment for moment in moments if moment is not None]
    return Trust(
        complete_until=min(known) if known and len(known) == len(moments) else None,
        late=[row for row in watched if row.health != Health.FRESH],
        streams=len(watched),
        quarantined=sum(row.quarantined for row in watched),
    )


def _row(
    stream: Stream, *, now: datetime, gaps: int, quarantined: int, drift: int, failed_windows: int, reports: int
) -> Row:
    target = _flows(stream.account)[stream.flow].freshness
    age = now - stream.complete_until if stream.complete_until else None
    return Row(
        stream_id=stream.pk,
        account_id=stream.account_id,
        account=stream.account.name,
        channel=stream.account.channel,
        flow=stream.flow,
        health=_health(stream, age, target),
        complete_until=stream.complete_until,
        last_success_at=stream.last_success_at,
        last_started_at=stream.last_started_at,
        age=age,
        target=target,
        gaps=gaps,
        failures=stream.failures,
        failed_windows=failed_windows,
        last_error=stream.last_error,
        last_error_at=stream.last_error_at,
        quarantined=quarantined,
        drift=drift,
        reports=reports,
    )


def _health(stream: Stream, age: timedelta | None, target: timedelta) -> Health:
    if stream.account.status == Account.Status.BROKEN:
        return Health.BROKEN
    if stream.is_paused or stream.account.status in (Account.Status.PAUSED, Account.Status.NEW):
        return Health.PAUSED
    if stream.failures and stream.last_error_kind == "forbidden":
        return Health.FORBIDDEN
    if stream.failures:
        return Health.FAILING
    if age is None:
        return Health.NEVER
    return Health.LATE if age > target else Health.FRESH


def _flows(account: Account) -> Mapping[str, Flow]:
    connector = connectors.get(account.channel)
    return connector.flows if connector else {}


def _holes(streams: list[Stream], *, now: datetime) -> dict[int, int]:
    spans = {
        stream.pk: horizon(stream.account, flow, now=now)
        for stream in streams
        if not (flow := _flows(stream.account)[stream.flow]).snapshot
    }
    known: dict[str, Any] = {
        "ids": list(spans),
        "floors": [span.floor for span in spans.values()],
        "ends": [span.until for span in spans.values()],
        "client": tenancy.current().one,
    }
    with connection.cursor() as cursor:
        cursor.execute(HOLES, known)
        return dict(cursor.fetchall())


def _counts(found: Any) -> dict[tuple[int, str], int]:
    return {(account, flow): count for account, flow, count in found.annotate(count=Count("pk")).order_by()}


def _per_stream(found: Any) -> dict[int, int]:
    return dict(found.annotate(count=Count("pk")).order_by())
