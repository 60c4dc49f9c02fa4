"""What may be asked of the marketplaces now: calls left per operation, hosts that do not answer, streams told to wait.

The figures lie in Valkey; while it is away nobody knows them, and the answer is None rather than a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from marketplaces.breaker import Gate
from marketplaces.models import Account, Stream
from marketplaces.port import Priority
from marketplaces.registry import connectors
from marketplaces.shared import breaker, budget_key, limiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The calls of one operation of one account.

    Attributes:
        rate: calls per second in force. burst: calls the marketplace lets through at once.
        tokens: calls left now without waiting.
        closed_until: the marketplace asked us to be silent until then; None = it did not.
        wait_p95: the wait that one of the last calls in twenty exceeded [s]; None when there was no call lately.
        wait_p95_realtime: the same for orders, events and people who wait.
    """

    account_id: int
    account: str
    channel: str
    operation: str
    rate: float
    burst: int
    tokens: float
    closed_until: datetime | None
    wait_p95: float | None
    wait_p95_realtime: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host of an account that failed lately.

    Attributes:
        gate: `closed` = asked as usual, `open` = left alone, `half_open` = a probe may go out or is under way.
        since: when we stopped asking; until: when the next probe may go out; both None while closed.
        why: what failed last, in words.
    """

    account_id: int
    account: str
    host: str
    gate: Gate
    failures: int
    since: datetime | None
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A stream that is left alone for a while, and why."""

    stream_id: int
    account: str
    flow: str
    until: datetime
    kind: str
    why: str


def budgets() -> list[Budget] | None:
    """Every operation with a limit of every account of the client, by account; None while Valkey is away.

    One query and one round trip to Valkey.
    """
    asked = {
        (account, operation): limit
        for account in _accounts()
        for operation, limit in sorted(connectors[account.channel].limits.items())
    }
    levels = limiter().levels(
        {(budget_key(account), operation): limit for (account, operation), limit in asked.items()}
    )
    if levels is None:
        return None
    found = []
    for account, operation in asked:
        level = levels[budget_key(account), operation]
        found.append(
            Budget(
                account_id=account.pk,
                account=account.name,
                channel=account.channel,
                operation=operation,
                rate=level.rate,
                burst=level.burst,
                tokens=level.tokens,
                closed_until=level.closed_until,
                wait_p95=level.wait_p95(),
                wait_p95_realtime=level.wait_p95(Priority.REALTIME),
            )
        )
    return found


def hosts() -> list[Host] | None:
    """Hosts that failed lately, by account; whatever is not named is asked as usual. None while Valkey is away."""
    by_key = {budget_key(account): account for account in _accounts()}
    states = breaker().states(list(by_key))
    if states is None:
        return None
    return [
        Host(
            account_id=by_key[key].pk,
            account=by_key[key].name,
            host=state.host,
            gate=state.gate,
            failures=state.failures,
            since=state.since,
            until=state.until,
            why=state.why,
        )
        for key, of_account in states.items()
        for state in of_account
    ]


def waits(*, now: datetime) -> list[Wait]:
    """Streams told to wait beyond `now`, the first to come back first."""
    held = Stream.objects.filter(not_before__gt=now).select_related("account").order_by("not_before", "pk")
    return [
        Wait(
            stream_id=stream.pk,
            account=stream.account.name,
            flow=stream.flow,
            until=stream.not_before,
            kind=stream.last_error_kind,
            why=stream.last_error,
        )
        for stream in held
        if stream.not_before is not None
    ]


def _accounts() -> list[Account]:
    return list(Account.objects.filter(channel__in=list(connectors)).order_by("code"))
