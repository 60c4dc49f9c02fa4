"""What stands in the outbox: what is due, what became of commands, and how the push flows stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, QuerySet
from django.db.models.expressions import Combinable

from marketplaces.models import Account, OutboxAttempt, OutboxCommand, PushFlow, PushSwitch
from marketplaces.registry import connectors

State = OutboxCommand.State

#: What comes due later than this is left to the timetable.
SOON: Final = timedelta(minutes=4)
#: Who is said to have switched a flow that stopped without anybody asking for it.
BY_ITSELF: Final = "outbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRow:
    """One push flow with its commands counted. `flow` is None while nobody has looked at the account's flows yet.

    `waits_because`: what one of the waiting commands was told.
    """

    account: Account
    verb: str
    flow: PushFlow | None
    open: int
    waiting: int
    unknown: int
    held: int
    refused: int
    given_up: int
    last_accepted_at: datetime | None
    waits_because: str


def is_due(account: Account, verb: str, *, now: datetime) -> bool:
    """Whether anything of the account waits for its turn now."""
    return _open(account, verb).filter(next_at__lte=now).exists()


def soon_due(account: Account, verb: str, *, now: datetime) -> timedelta | None:
    """How long until the next thing is due, when that is soon; None when it is not, or when nothing may leave."""
    sendable = _open(account, verb)
    flow = PushFlow.objects.filter(account=account, verb=verb).first()
    if is_stopped() or flow is None or flow.mode != PushFlow.Mode.LIVE:
        sendable = sendable.filter(state=State.UNKNOWN)
    first = sendable.aggregate(first=Min("next_at"))["first"]
    if first is None or first > now + SOON:
        return None
    return max(first - now, timedelta(seconds=1))


def latest(account: Account | Combinable, verb: str, key: str | Combinable) -> QuerySet[OutboxCommand]:
    """The newest command of a key; account and key may be expressions of an outer query."""
    return OutboxCommand.objects.filter(account=account, verb=verb, key=key).order_by("-pk")


def attempts(command: OutboxCommand) -> QuerySet[OutboxAttempt]:
    """Every call made for a command, the newest first."""
    return OutboxAttempt.objects.filter(command=command).order_by("-pk")


def flows() -> list[FlowRow]:
    """Every account that can be told something, with what it can be told, in three queries."""
    accounts = list(Account.objects.filter(channel__in=list(connectors)).order_by("code"))
    known = {(flow.account_id, flow.verb): flow for flow in PushFlow.objects.all()}
    counts = {(row["account_id"], row["verb"]): row for row in _counts()}
    return [
        _row(account, verb, known.get((account.pk, verb)), counts.get((account.pk, verb), {}))
        for account in accounts
        for verb in connectors[account.channel].pushes
    ]


def switch() -> PushSwitch | None:
    """The acting client's one switch; None while nobody has ever touched it."""
    return PushSwitch.objects.first()


def is_stopped() -> bool:
    """Whether the acting client's one switch stops every push."""
    return PushSwitch.objects.filter(is_stopped=True).exists()


def _open(account: Account, verb: str) -> QuerySet[OutboxCommand]:
    return OutboxCommand.objects.filter(account=account, verb=verb, state__in=OutboxCommand.OPEN)


def _counts() -> Iterable[Any]:
    def of(*states: str) -> Count:
        return Count("pk", filter=Q(state__in=states))

    return OutboxCommand.objects.order_by().values("account_id", "verb").annotate(
        open=of(*OutboxCommand.OPEN), waiting=of(State.WAITING), unknown=of(State.UNKNOWN), held=of(State.HELD),
        refused=of(State.REFUSED), given_up=of(State.GIVEN_UP),
        last_accepted_at=Max("settled_at", filter=Q(state=State.ACCEPTED)),
        waits_because=Max("message", filter=Q(state=State.WAITING)),
    )  # fmt: skip


def _row(account: Account, verb: str, flow: PushFlow | None, counts: dict[str, object]) -> FlowRow:
    def count(name: str) -> int:
        found = counts.get(name)
        return found if isinstance(found, int) else 0

    last = counts.get("last_accepted_at")
    return FlowRow(
        account=account, verb=verb, flow=flow, open=count("open"), waiting=count("waiting"), unknown=count("unknown"),
        held=count("held"), refused=count("refused"), given_up=count("given_up"),
        last_accepted_at=last if isinstance(last, datetime) else None,
        waits_because=str(counts.get("waits_because") or ""),
    )  # fmt: skip
