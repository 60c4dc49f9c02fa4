"""What does not arrive although it should: events that wait or failed, messages turned away, unread queues."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, Sum

from domventas.core.models import TaskRun
from marketplaces.models import Account, InboundEvent, Inlet, InletRefusal, Stream
from marketplaces.selectors.trouble import Place

State = InboundEvent.State
#: What events are called beside flows.
EVENTS: Final = "events"
#: Tries of one event before people have to look.
TRIES: Final = 8
#: Runs of the listening job that are looked at.
_LOOKED_BACK: Final = timedelta(hours=1)
_PLACE: Final = ("account_id", "account__name", "account__channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Events of one account. `since`: when the first of them failed; `note`: what was said about one of them."""

    place: Place
    count: int
    since: datetime
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Stuck):
    """Events nobody works on. `since`: when the first was due; `worn`: those whose worker died on them each time."""

    worn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Messages one address turned away. `has_good`: others were accepted there meanwhile."""

    place: Place
    inlet_id: int
    count: int
    why: str
    has_good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """How the reading of one queue goes.

    Attributes:
        place: the account whose runs read the queue.
        read_at: when it was last read without an error; emptied_at: when it was last found empty. Before the first
            time: when it was opened.
        error: what the last run that failed, or will try again, says, when it came after that.
    """

    place: Place
    inlet_id: int
    queue: str
    read_at: datetime
    emptied_at: datetime
    error: str


def waiting(*, before: datetime) -> list[Waiting]:
    """Accounts with events that were due before then and have not been touched since; one query.

    Paused flows and accounts that are not read do not count, nor does what the marketplace asked us to wait with.
    """
    paused = Stream.objects.filter(account=OuterRef("account"), flow=OuterRef("flow"), is_paused=True)
    worn = Q(attempts__gt=TRIES)
    found = InboundEvent.objects.filter(Q(not_before__lt=before) | worn, ~Exists(paused), state=State.WAITING)
    rows = _rows(found).annotate(
        count=Count("pk"), since=Min("not_before"), said=Max("note"), worn=Count("pk", filter=worn)
    )
    return [Waiting(place=_place(*row[:3]), count=row[3], since=row[4], note=row[5], worn=row[6]) for row in rows]


def failed(*, since: datetime) -> list[Stuck]:
    """Accounts with events that failed since then, and whose thing no later event has brought; one query."""
    later = InboundEvent.objects.filter(
        account=OuterRef("account"), flow=OuterRef("flow"), ref=OuterRef("ref"), state=State.DONE,
        ended_at__gt=OuterRef("ended_at"),
    ).exclude(ref="")  # fmt: skip
    found = InboundEvent.objects.filter(~Exists(later), state=State.FAILED, ended_at__gte=since)
    rows = _rows(found).annotate(count=Count("pk"), since=Min("ended_at"), said=Max("note"))
    return [Stuck(place=_place(*row[:3]), count=row[3], since=row[4], note=row[5]) for row in rows]


def refused(*, since: datetime) -> list[Refused]:
    """Open addresses that turned messages away since then; one query."""
    good = InboundEvent.objects.filter(
        account=OuterRef("inlet__account"), source=Inlet.Kind.WEBHOOK, received_at__gte=since
    )
    rows = (
        InletRefusal.objects.filter(last_at__gte=since, inlet__closed_at=None)
        .order_by("inlet__account__code", "inlet_id")
        .values_list("inlet__account_id", "inlet__account__name", "inlet__account__channel", "inlet_id")
        .annotate(total=Sum("count"), said=Max("why"), good=Exists(good))
    )
    return [Refused(place=_place(*row[:3]), inlet_id=row[3], count=row[4], why=row[5], has_good=row[6]) for row in rows]


def turned_away(inlet: Inlet) -> list[InletRefusal]:
    """The last hours in which an address turned messages away, the newest first; one query."""
    return list(InletRefusal.objects.filter(inlet=inlet).order_by("-hour")[:24])


def listening(*, now: datetime) -> list[Listening]:
    """Every open queue of accounts that are read, and how its listening job has done in the last hour; two queries."""
    first: dict[str, Inlet] = {}
    inlets = Inlet.objects.filter(kind=Inlet.Kind.QUEUE, closed_at=None, account__status=Account.Status.ACTIVE)
    for inlet in inlets.select_related("account").defer("secrets").order_by("pk"):
        first.setdefault(f"{inlet.account.channel} {inlet.queue_url}", inlet)
    runs: dict[int, list[dict[str, Any]]] = defaultdict(list)
    recent = TaskRun.objects.filter(task__startswith="events.receive.", created_at__gte=now - _LOOKED_BACK)
    for run in recent.order_by("seen_at").values("account_id", "state", "seen_at", "attempt", "errors", "note"):
        runs[run["account_id"]].append(dict(run))
    return [_listening(inlet, runs[inlet.account_id]) for inlet in first.values()]


def _listening(inlet: Inlet, runs: list[dict[str, Any]]) -> Listening:
    done = [run["seen_at"] for run in runs if run["state"] == TaskRun.State.DONE]
    read = done + [run["seen_at"] for run in runs if run["attempt"] and not run["errors"]]
    read_at = max(read, default=inlet.set_at)
    wrong = [run["note"] for run in runs if run["errors"] and run["seen_at"] > read_at]
    account = inlet.account
    return Listening(
        place=_place(account.pk, account.name, account.channel), inlet_id=inlet.pk,
        queue=inlet.queue_url.rpartition("/")[2], read_at=read_at, emptied_at=max(done, default=inlet.set_at),
        error=wrong[-1] if wrong else "",
    )  # fmt: skip


def _rows(found: Any) -> Any:
    return found.filter(account__status=Account.Status.ACTIVE).order_by("account__code").values_list(*_PLACE)


def _place(account_id: int, account: str, channel: str) -> Place:
    return Place(account_id=account_id, account=account, channel=channel, flow=EVENTS)
