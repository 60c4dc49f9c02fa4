"""How each account stands at its marketplace: calls left, hosts left alone, pushes, events, runs that gave up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count

from domventas.core.jobs.requeue import quarantined_runs
from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.selectors import budget, events, outbox, subscriptions
from marketplaces.selectors.budget import Budget, Host
from marketplaces.selectors.events import EventCount
from marketplaces.selectors.outbox import FlowRow
from marketplaces.selectors.subscriptions import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One account.

    Attributes:
        budgets: every limited operation, the scarcest first; empty also while Valkey is away.
        hosts: those that failed lately; whatever is not named is asked as usual.
        pushes: what the account can be told. events: None when the account has no inlet and got no event.
        asked: None where the marketplace cannot be asked for its events.
        runs: jobs put aside because their process died each time.
    """

    account: Account
    budgets: list[Budget] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    pushes: list[FlowRow] = field(default_factory=list)
    events: EventCount | None = None
    asked: Asked | None = None
    runs: int = 0

    @property
    def closed_until(self) -> datetime | None:
        """When the last operation that we were told to leave alone may be called again; None when there is none."""
        return max((one.closed_until for one in self.budgets if one.closed_until), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """All accounts of the client; `is_known` is false while Valkey, which holds budgets and breakers, is away.

    `runs` counts the client's own jobs put aside, which belong to no account.
    """

    standings: list[Standing]
    is_known: bool
    runs: int


def border() -> Border:
    """Every account by code; a constant number of queries and two round trips to Valkey."""
    budgets, hosts = budget.budgets(), budget.hosts()
    pushes: dict[int, list[FlowRow]] = defaultdict(list)
    for row in outbox.flows():
        pushes[row.account.pk].append(row)
    counts = {row.account_id: row for row in events.counts()}
    runs = dict(quarantined_runs().order_by().values_list("account_id").annotate(count=Count("pk")))
    accounts = list(Account.objects.filter(channel__in=list(connectors)).order_by("code"))
    asked = subscriptions.asked(accounts)
    standings = [
        Standing(
            account=account,
            budgets=sorted((b for b in budgets or () if b.account_id == account.pk), key=_scarcity),
            hosts=[host for host in hosts or () if host.account_id == account.pk],
            pushes=pushes[account.pk],
            events=counts.get(account.pk),
            asked=asked.get(account.pk),
            runs=runs.get(account.pk, 0),
        )
        for account in accounts
    ]
    known = {standing.account.pk for standing in standings}
    return Border(
        standings=standings,
        is_known=budgets is not None and hosts is not None,
        runs=sum(count for account, count in runs.items() if account not in known),
    )


def _scarcity(one: Budget) -> tuple[bool, float, str]:
    return one.closed_until is None, one.tokens / one.burst, one.operation
