"""Events of the inbox: for whom there is work, and how many wait or have failed, for the monitor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min, Q, Subquery

from marketplaces.models import Account, InboundEvent, Inlet, Stream

State = InboundEvent.State


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCount:
    """The inbox of one account.

    Attributes:
        oldest: when the oldest waiting event came; None when none waits.
        newest: when the last event came at all; None when none ever did.
    """

    account_id: int
    account: str
    waiting: int
    failed: int
    oldest: datetime | None
    newest: datetime | None


def counts() -> list[EventCount]:
    """Every account with an open inlet or events that wait or have failed, in one query; ignored ones count as come."""
    with_inlet = Inlet.objects.filter(closed_at=None).values("account_id")
    of_account = InboundEvent.objects.values("account_id")
    found = {
        row["account_id"]: row
        for row in of_account.annotate(
            waiting=Count("pk", filter=Q(state=State.WAITING)),
            failed=Count("pk", filter=Q(state=State.FAILED)),
            oldest=Min("received_at", filter=Q(state=State.WAITING)),
            newest=Max("received_at"),
        ).order_by()
    }
    accounts = Account.objects.filter(Q(pk__in=Subquery(with_inlet)) | Q(pk__in=list(found)))
    return [_count(account, found.get(account.pk) or {}) for account in accounts.order_by("code")]


def _count(account: Account, row: Mapping[str, Any]) -> EventCount:
    known: dict[str, Any] = {"waiting": 0, "failed": 0, "oldest": None, "newest": None, **row}
    return EventCount(
        account_id=account.pk,
        account=account.name,
        waiting=known["waiting"],
        failed=known["failed"],
        oldest=known["oldest"],
        newest=known["newest"],
    )


def waiting_at(channel: str) -> list[int]:
    """The acting client's accounts at a marketplace with events to work on; none whose flows are all paused."""
    paused = {(row.account_id, row.flow) for row in Stream.objects.filter(is_paused=True).only("account_id", "flow")}
    waiting = InboundEvent.objects.filter(
        state=State.WAITING, account__channel=channel, account__status=Account.Status.ACTIVE
    )
    pairs = waiting.values_list("account_id", "flow").distinct().order_by()
    return sorted({account for account, flow in pairs if (account, flow) not in paused})


def queues_at(channel: str) -> list[int]:
    """One account for each queue the acting client's accounts at a marketplace get their events from."""
    first: dict[str, int] = {}
    for inlet in open_queues(channel):
        first.setdefault(inlet.queue_url, inlet.account_id)
    return sorted(first.values())


def open_queues(channel: str) -> Sequence[Inlet]:
    """Open queue inlets of accounts that may be read, without their secrets, oldest first."""
    found = Inlet.objects.filter(
        kind=Inlet.Kind.QUEUE, closed_at=None, account__channel=channel, account__status=Account.Status.ACTIVE
    )
    return list(found.defer("secrets").order_by("pk"))
