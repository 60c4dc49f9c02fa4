"""Statements that should be here and are not: the one list that every page, ticket and trust line counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Max

from domventas.core.models import Client
from domventas.core.tenancy import current
from domventas.core.times import zone
from finance.models import Settlement
from finance.selectors.cycles import terms_by_account, usual_cycle
from marketplaces.models import Account

_DAY: Final = timedelta(days=1)
_LEAST_GRACE: Final = timedelta(days=2)
#: Statements of one account that lie further apart than this have something missing between them.
_SEAM: Final = timedelta(days=1)
#: Grace where neither its statements nor payment terms tell the account's.
_USUAL_GRACE: Final = timedelta(days=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A statement that is due and not here: between two that are, after the last one, or announced without its lines.

    Attributes:
        what: `between`, `after` or `without_lines`.
        start, end: the days it should cover; after the last one its end is told by the cycle.
        due_on: from this day on it is missing.
        settlement_ref: its number where it was announced, else that of the statement before it.
        cycle: days from one statement to the next; None where nothing tells.
    """

    account_id: int
    account: str
    account_code: str
    channel: str
    currency: str
    what: str
    start: date
    end: date
    due_on: date
    settlement_ref: str
    cycle: int | None


class _Head(NamedTuple):
    ref: str
    start: datetime | None
    end: datetime
    is_waiting: bool


class _Hole(NamedTuple):
    what: str
    start: date
    end: date
    ref: str


class _Pace(NamedTuple):
    """Days from one statement to the next, None for unknown, and how much later than that is late."""

    cycle: float | None
    grace: timedelta


def absent_statements(*, today: date) -> list[Absent]:
    """Every statement that is missing on that day, by account, currency and day; five queries.

    The cycle is what the account does: the median distance of its last eight period ends, and a statement is late after
    a quarter of it, two days at least. With fewer than four, the longest of its sites' payment terms tells both.
    Without those no next statement is expected. Days are those of the client's zone.
    """
    accounts = {account.pk: account for account in Account.objects.all()}
    terms = _terms(today)
    days = zone(Client.objects.get(pk=current().one).zone)
    found: list[Absent] = []
    for (account_id, currency), heads in _heads().items():
        account = accounts[account_id]
        pace = _measured(heads) or terms.get(account_id) or _Pace(None, _USUAL_GRACE)
        for hole in _holes(heads, pace, days):
            due_on = hole.end + timedelta(days=ceil(pace.grace / timedelta(days=1)))
            if due_on <= today:
                found.append(
                    Absent(
                        account_id=account_id, account=account.name, account_code=account.code,
                        channel=account.channel, currency=currency, what=hole.what, start=hole.start, end=hole.end,
                        due_on=due_on, settlement_ref=hole.ref, cycle=round(pace.cycle) if pace.cycle else None,
                    )
                )  # fmt: skip
    return sorted(found, key=lambda row: (row.account_code, row.currency, row.start, row.what))


def newest_statements() -> dict[int, datetime]:
    """By account: the end of the newest statement that came with its lines; one query."""
    came = Settlement.objects.exclude(period_end=None).exclude(status=Settlement.Status.WAITING)
    return dict(came.order_by().values_list("account_id").annotate(end=Max("period_end")))


def _heads() -> dict[tuple[int, str], list[_Head]]:
    """All statements by account and currency, by their first day; one announced without a period is of that day."""
    rows = Settlement.objects.order_by("period_start", "period_end", "pk").values_list(
        "account_id", "currency", "settlement_ref", "period_start", "period_end", "status", "loaded_at"
    )
    found: dict[tuple[int, str], list[_Head]] = defaultdict(list)
    for account_id, currency, ref, start, end, status, loaded_at in rows:
        is_waiting = status == Settlement.Status.WAITING
        if end is not None or is_waiting:
            found[account_id, currency].append(_Head(ref, start, end or loaded_at, is_waiting))
    for heads in found.values():
        heads.sort(key=lambda head: head.start or head.end)
    return found


def _measured(heads: Sequence[_Head]) -> _Pace | None:
    """By the statements that came with their lines; None while they are too few to tell."""
    cycle = usual_cycle(sorted((head.end for head in heads if not head.is_waiting), reverse=True))
    return _Pace(cycle / _DAY, max(cycle / 4, _LEAST_GRACE)) if cycle else None


def _terms(today: date) -> dict[int, _Pace]:
    """What payment terms say about each account: the longest of its sites."""
    told = terms_by_account(today=today)
    return {account: _Pace(cycle, timedelta(days=grace)) for account, (cycle, grace) in told.items()}


def _holes(heads: Sequence[_Head], pace: _Pace, days: ZoneInfo) -> list[_Hole]:
    """Days without a statement with lines, the oldest first."""
    holes = []
    covered: datetime | None = None
    before = ""

    def day(moment: datetime) -> date:
        return moment.astimezone(days).date()

    for head in heads:
        start = head.start or covered or head.end  # without a first day it goes on where the last one ended
        if covered is not None and start - covered > _SEAM:
            holes.append(_Hole("between", day(covered), day(start), before))
        if head.is_waiting:
            holes.append(_Hole("without_lines", day(min(start, head.end)), day(head.end), head.ref))
        if covered is None or head.end >= covered:
            covered, before = head.end, head.ref
    if covered is not None and pace.cycle:
        holes.append(_Hole("after", day(covered), day(covered + timedelta(days=pace.cycle)), before))
    return holes
