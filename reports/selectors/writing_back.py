"""What was told to the marketplaces, what waits to be told, and for whom it is only shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from marketplaces.models import Account, OutboxCommand, PushFlow
from marketplaces.selectors import outbox

State, Mode = OutboxCommand.State, PushFlow.Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class WritingBack:
    """The acting client's pushes.

    Attributes:
        accepted, failed: commands that came to an end since the moment asked for.
        waiting: on the way, or of which nobody knows whether they arrived. held: kept back, not sent.
        shadow, stopped: active accounts with a push of that mode, by name; what is put for them is not sent.
    """

    accepted: int
    failed: int
    waiting: int
    held: int
    shadow: Sequence[str]
    stopped: Sequence[str]


def writing_back(*, since: datetime) -> WritingBack:
    """How it stands now, with what ended since then; four queries."""
    flows = outbox.flows()
    ended = OutboxCommand.objects.filter(settled_at__gte=since).aggregate(
        accepted=Count("pk", filter=Q(state=State.ACCEPTED)),
        failed=Count("pk", filter=Q(state__in=[State.REFUSED, State.GIVEN_UP])),
    )

    def whose(mode: str) -> list[str]:
        """A flow nobody has looked at yet is in shadow."""
        active = (row for row in flows if row.account.status == Account.Status.ACTIVE)
        return sorted({row.account.name for row in active if (row.flow.mode if row.flow else Mode.SHADOW) == mode})

    return WritingBack(
        accepted=ended["accepted"],
        failed=ended["failed"],
        waiting=sum(row.open for row in flows),
        held=sum(row.held for row in flows),
        shadow=whose(Mode.SHADOW),
        stopped=whose(Mode.STOPPED),
    )
