"""What should have gone out or been worked on by now, by account: commands of the outbox and events of the inbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.functions import Coalesce

from marketplaces.models import Account, OutboxCommand, PushFlow
from marketplaces.registry import connectors
from marketplaces.selectors import outbox
from marketplaces.selectors.trouble import Place

State = OutboxCommand.State
_PLACE = ("account_id", "account__name", "account__channel", "verb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Commands of one push flow. `oldest`: put, or last sent, at; `message`: what was said about one of them."""

    place: Place
    count: int
    oldest: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsent(Waiting):
    """Commands that wait for their turn.

    Attributes:
        promise: so long may a command of this flow take.
        mode: of the flow; all_stopped: the client's one switch is off. why: what was said when it was switched.
    """

    promise: timedelta
    mode: str
    all_stopped: bool
    why: str


def unsent(*, now: datetime) -> list[Unsent]:
    """Push flows with commands that wait since more than half of what the flow promises; three queries.

    What is held in shadow is told in another way and does not count; no more do accounts that are paused.
    """
    promises = _promises()
    late = [
        Q(account__channel=channel, verb=verb, created_at__lt=now - promise / 2)
        for (channel, verb), promise in promises.items()
    ]
    if not late:
        return []
    found = _commands(State.WAITING, State.IN_FLIGHT).filter(reduce(or_, late))
    rows = list(found.values_list(*_PLACE).annotate(count=Count("pk"), oldest=Min("created_at"), said=Max("message")))
    flows = {(flow.account_id, flow.verb): flow for flow in PushFlow.objects.all()} if rows else {}
    switch = outbox.switch() if rows else None
    return [_unsent(row, promises, flows.get((row[0], row[3])), switch) for row in rows]


def _unsent(row: Any, promises: dict[tuple[str, str], timedelta], flow: PushFlow | None, switch: Any) -> Unsent:
    all_stopped = bool(switch and switch.is_stopped)
    return Unsent(
        place=Place(account_id=row[0], account=row[1], channel=row[2], flow=row[3]), count=row[4], oldest=row[5],
        message=row[6], promise=promises[row[2], row[3]], mode=flow.mode if flow else PushFlow.Mode.SHADOW,
        all_stopped=all_stopped, why=switch.why if all_stopped else flow.why if flow else "",
    )  # fmt: skip


def unsettled(*, before: datetime) -> list[Waiting]:
    """Push flows with commands last sent before then whose outcome is still unknown; one query."""
    found = _commands(State.UNKNOWN).annotate(last=Coalesce("sent_at", "created_at")).filter(last__lt=before)
    rows = found.values_list(*_PLACE).annotate(count=Count("pk"), oldest=Min("last"), said=Max("message"))
    return [
        Waiting(
            place=Place(account_id=row[0], account=row[1], channel=row[2], flow=row[3]),
            count=row[4],
            oldest=row[5],
            message=row[6],
        )
        for row in rows
    ]


def stopped_by_itself() -> Iterator[tuple[Place, str]]:
    """Push flows that no person has stopped, and why; one query."""
    flows = PushFlow.objects.filter(
        mode=PushFlow.Mode.STOPPED, changed_by=outbox.BY_ITSELF, account__status=Account.Status.ACTIVE
    )
    for flow in flows.select_related("account").order_by("account__code", "verb"):
        account = flow.account
        yield Place(account_id=account.pk, account=account.name, channel=account.channel, flow=flow.verb), flow.why


def _commands(*states: str) -> QuerySet[OutboxCommand]:
    found = OutboxCommand.objects.filter(state__in=states, account__status=Account.Status.ACTIVE)
    return found.order_by("account__code", "verb")


def _promises() -> dict[tuple[str, str], timedelta]:
    return {
        (name, verb): push.promise for name, connector in connectors.items() for verb, push in connector.pushes.items()
    }
