"""Statements that should be here by now: an account that settled every so often and has fallen silent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from finance.models import Settlement
from marketplaces.models import Account

#: Settlements of an account that tell its cycle, and the fewest that do.
_SEEN, _FEWEST = 8, 4
_LEAST_GRACE: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A statement that is due and not here. `cycle`: days between the last ones, as a rule."""

    account_id: int
    account: str
    channel: str
    currency: str
    last_ref: str
    last_end: date
    cycle: int
    due_on: date


def absent_statements(*, now: datetime) -> list[Absent]:
    """Accounts and currencies whose next statement is late by a quarter of its cycle, two days at least; two queries.

    The cycle is the median distance of the last eight period ends; with fewer than four there is none to be late for.
    A statement announced but not filled yet (its lines have not come) counts as absent.
    """
    rows = (
        Settlement.objects.exclude(status=Settlement.Status.WAITING)
        .exclude(period_end=None)
        .filter(period_end__gt=now - timedelta(days=400))
        .order_by("account_id", "currency", "-period_end")
        .values_list("account_id", "currency", "period_end", "settlement_ref")
    )
    ends: dict[tuple[int, str], list[tuple[datetime, str]]] = defaultdict(list)
    for account_id, currency, end, ref in rows:
        if len(ends[account_id, currency]) < _SEEN and end is not None:
            ends[account_id, currency].append((end, ref))
    accounts = Account.objects.in_bulk([account_id for account_id, _ in ends])
    found = []
    for (account_id, currency), last in ends.items():
        gaps = [(later - sooner).total_seconds() / 86400 for (later, _), (sooner, _) in pairwise(last)]
        if len(last) < _FEWEST or (cycle := median(gaps)) < 1:
            continue
        due = last[0][0] + timedelta(days=cycle) + max(timedelta(days=cycle / 4), _LEAST_GRACE)
        if now > due:
            account = accounts[account_id]
            found.append(
                Absent(
                    account_id=account_id, account=account.name, channel=account.channel, currency=currency,
                    last_ref=last[0][1], last_end=last[0][0].date(), cycle=round(cycle), due_on=due.date(),
                )
            )  # fmt: skip
    return found
