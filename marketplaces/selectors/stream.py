"""One stream in detail: what was asked for, what came, what is missing, and what waits for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from marketplaces.models import Account, Quarantined, RawDocument, ReportJob, SchemaDrift, Stream, SyncWindow
from marketplaces.registry import connectors
from marketplaces.selectors.gaps import DayGap, Span, horizon, short_days, uncovered

#: Newest rows shown of each kind.
SHOWN: Final = 10
WAITING: Final = (ReportJob.Status.REQUESTED, ReportJob.Status.PROCESSING, ReportJob.Status.READY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One flow of one account.

    Attributes:
        gaps: holes before the newest reading; what came after it is lateness, not a hole.
        days: days that have lost rows since they were read.
        windows, documents, reports, quarantined, drift: the newest ten of each; documents come without their bytes.
    """

    stream: Stream
    gaps: list[Span]
    days: list[DayGap]
    windows: list[SyncWindow]
    documents: list[RawDocument]
    reports: list[ReportJob]
    quarantined: list[Quarantined]
    drift: list[SchemaDrift]


def stream(pk: int) -> Stream:
    """A stream with its account. Raises: Stream.DoesNotExist: not there, or another client's."""
    return Stream.objects.select_related("account").get(pk=pk)


def archived(found: Stream) -> int:
    """How many raw documents of a stream are kept."""
    return RawDocument.objects.filter(account_id=found.account_id, flow=found.flow).count()


def detail(found: Stream, *, now: datetime) -> Detail:
    """Everything the monitor says about one stream; a constant number of queries."""
    account: Account = found.account
    flow = connectors[account.channel].flows.get(found.flow) if account.channel in connectors else None
    gaps: list[Span] = []
    days: list[DayGap] = []
    if flow is not None and not flow.snapshot and found.coverage:
        newest = max(span.upper for span in found.coverage)
        gaps = [gap for gap in uncovered(found, horizon(account, flow, now=now)) if gap[1] < newest]
        days = short_days(found)
    mine = {"account_id": account.pk, "flow": found.flow}
    return Detail(
        stream=found,
        gaps=gaps,
        days=days,
        windows=list(SyncWindow.objects.filter(stream=found).order_by("-started_at", "-pk")[:SHOWN]),
        documents=list(RawDocument.objects.filter(**mine).defer("body").order_by("-last_fetched_at", "-pk")[:SHOWN]),
        reports=list(ReportJob.objects.filter(stream=found, status__in=WAITING).order_by("created_at")[:SHOWN]),
        quarantined=list(
            Quarantined.objects.filter(**mine, resolved_at=None).defer("excerpt").order_by("-last_seen_at")[:SHOWN]
        ),
        drift=list(SchemaDrift.objects.filter(**mine).order_by("-last_seen_at")[:SHOWN]),
    )
