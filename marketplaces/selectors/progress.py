"""How far the first reading of an account has come, flow by flow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db.models import Count, Q, Sum

from marketplaces.models import Account, Credential, ReportJob, Stream, SyncWindow
from marketplaces.port import Flow
from marketplaces.registry import connectors
from marketplaces.selectors.gaps import Horizon, horizon
from marketplaces.selectors.stream import WAITING


class Stage(StrEnum):
    """Where the first reading of a flow stands."""

    OFF = "off"
    ASKED = "asked"
    READING = "reading"
    PREPARING = "preparing"
    HELD = "held"
    FAILED = "failed"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowProgress:
    """One flow.

    Attributes:
        windows: windows read and reports loaded. records: what came in all; None where it comes by report, uncounted.
        share: of the time asked for that is complete, 0 to 1; of a snapshot 0 or 1.
        reports: asynchronous reports the marketplace prepares.
        again_at: when a flow that was told to wait goes on.
    """

    stream_id: int
    flow: str
    stage: Stage
    windows: int
    records: int | None
    quarantined: int
    share: Decimal
    reports: int
    error: str
    again_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """All flows of an account; `share` is the mean over those that are read."""

    flows: list[FlowProgress]
    share: Decimal
    is_done: bool


def progress(account: Account, *, now: datetime) -> Progress:
    """How the first reading stands; three queries."""
    connector = connectors.get(account.channel)
    known = connector.flows if connector else {}
    streams = [stream for stream in Stream.objects.filter(account=account) if stream.flow in known]
    counts = {row["stream_id"]: row for row in _windows(streams)}
    reports = {row["stream_id"]: row for row in _reports(streams)}
    order = list(known)
    found = [
        _flow(account, stream, known[stream.flow], counts.get(stream.pk, {}), reports.get(stream.pk, {}), now=now)
        for stream in sorted(streams, key=lambda stream: order.index(stream.flow))
    ]
    read = [flow for flow in found if flow.stage != Stage.OFF]
    return Progress(
        flows=found,
        share=sum((flow.share for flow in read), Decimal(0)) / max(len(read), 1),
        is_done=bool(read) and all(flow.stage == Stage.DONE for flow in read),
    )


def unfinished() -> list[Account]:
    """Accounts that somebody began to connect and did not start, the oldest first."""
    return list(Account.objects.filter(status=Account.Status.NEW).order_by("created_at", "pk"))


def ending_of(account: Account) -> str:
    """The last characters of the newest secret of an account, by which people recognize it."""
    return Credential.objects.filter(account=account).values_list("fingerprint", flat=True).first() or ""


def _windows(streams: list[Stream]) -> Any:
    rows = SyncWindow.objects.filter(stream__in=streams).order_by().values("stream_id")
    return rows.annotate(
        windows=Count("pk", filter=Q(status=SyncWindow.Status.DONE)),
        running=Count("pk", filter=Q(status=SyncWindow.Status.RUNNING)),
        records=Sum("records"),
        quarantined=Sum("quarantined"),
    )


def _reports(streams: list[Stream]) -> Any:
    rows = ReportJob.objects.filter(stream__in=streams).order_by().values("stream_id")
    ended = [ReportJob.Status.DONE, ReportJob.Status.EMPTY]
    return rows.annotate(
        waiting=Count("pk", filter=Q(status__in=WAITING)), loaded=Count("pk", filter=Q(status__in=ended))
    )


def _flow(
    account: Account, stream: Stream, flow: Flow, counts: dict[str, Any], by_report: dict[str, Any], *, now: datetime
) -> FlowProgress:
    reports = by_report.get("waiting", 0)
    is_done = not reports and _is_done(stream, flow)
    return FlowProgress(
        stream_id=stream.pk,
        flow=stream.flow,
        stage=_stage(account, stream, counts, reports, is_done=is_done, now=now),
        windows=counts.get("windows", 0) + by_report.get("loaded", 0),
        records=None if flow.reports else counts.get("records") or 0,
        quarantined=counts.get("quarantined") or 0,
        share=Decimal(1) if is_done else _covered(stream, flow, horizon(account, flow, now=now)),
        reports=reports,
        error=stream.last_error,
        again_at=stream.not_before if stream.not_before and stream.not_before > now else None,
    )


def _is_done(stream: Stream, flow: Flow) -> bool:
    """Whether one reading has come to its end with no hole in what is covered."""
    if stream.last_success_at is None or stream.complete_until is None:
        return False
    ends = [part.upper for part in stream.coverage or () if part.upper]
    return flow.snapshot or stream.complete_until >= max(ends, default=stream.complete_until)


def _stage(
    account: Account, stream: Stream, counts: dict[str, Any], reports: int, *, is_done: bool, now: datetime
) -> Stage:
    if stream.is_paused or account.status in (Account.Status.PAUSED, Account.Status.NEW):
        return Stage.OFF
    if is_done:
        return Stage.DONE
    if account.status == Account.Status.BROKEN or stream.failures:
        return Stage.FAILED
    if reports:
        return Stage.PREPARING
    if stream.not_before is not None and stream.not_before > now:
        return Stage.HELD
    return Stage.READING if counts.get("running") or counts.get("windows") else Stage.ASKED


def _covered(stream: Stream, flow: Flow, span: Horizon) -> Decimal:
    """The share of the time asked for that was read to its end."""
    whole = span.until - span.floor
    if flow.snapshot or whole <= timedelta(0):
        return Decimal(0)
    read = sum(
        (
            max(min(part.upper, span.until) - max(part.lower, span.floor), timedelta(0))
            for part in stream.coverage or ()
            if part.lower and part.upper
        ),
        timedelta(0),
    )
    return min(Decimal(read // timedelta(seconds=1)) / max(whole // timedelta(seconds=1), 1), Decimal(1))
