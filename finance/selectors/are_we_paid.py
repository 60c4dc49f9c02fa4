"""The page a controller opens first: balances, what comes when, what is late, wrong, or cannot be proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection
from django.db.models import Q, Sum

from domventas.core.tenancy import current
from domventas.core.times import Period
from finance.models import PaymentTerm, Receivable, Settlement
from finance.selectors.discrepancies import Group, groups, rule_gaps
from finance.selectors.receivables import Late, RollForward, Week, expected_weeks, overdue, roll_forward
from finance.selectors.reconciliation import Totals, totals
from marketplaces.models import Account, AccountSite

NOTHING: Final = Decimal(0)
#: Statements of one account that lie further apart than this have something missing between them.
SEAM: Final = timedelta(days=1)

#: Share of the booked order-bound value that agrees with an expectation of our own, by account.
SHARES: Final = """
SELECT l.account_id, r.currency, sum(abs(r.actual)),
       coalesce(sum(abs(r.actual)) FILTER (WHERE r.verdict IN ('reconciled', 'tolerated')), 0),
       coalesce(sum(abs(r.actual)) FILTER (WHERE r.verdict = 'no_rule'), 0)
FROM finance_linereconciliation AS r
JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = r.line_id
LEFT JOIN finance_expectedcharge AS e
  ON e.client_id = %(client)s AND (e.line_id, e.event, e.kind) = (r.line_id, r.event, r.kind)
WHERE r.client_id = %(client)s AND r.actual IS NOT NULL AND e.basis IS DISTINCT FROM 'paid'
GROUP BY l.account_id, r.currency
ORDER BY l.account_id, r.currency
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A statement that should be here: between two that are, after the last one, or announced without its lines.

    `blocked` is what is open for lines that should stand in it [currency]: not a loss, but not provable.
    """

    account: str
    account_code: str
    currency: str
    what: str
    """`between`, `after` or `without_lines`."""
    start: date
    due: date
    blocked: Decimal
    settlement_ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapRow:
    """A combination no fee rule covers, with the money that is paid and not judged because of it."""

    site: str
    kind: str
    category: str
    fulfillment: str
    currency: str
    lines: int
    blocked: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """How much of an account's booked order-bound value agrees with our own expectation [currency]."""

    account: str
    currency: str
    booked: Decimal
    agreed: Decimal
    without_rule: Decimal

    @property
    def share(self) -> Decimal | None:
        """agreed ÷ booked; None while nothing is booked."""
        return self.agreed / self.booked if self.booked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AreWePaid:
    """Everything the page shows; amounts per currency, never converted, never netted."""

    period: Period
    balances: Sequence[RollForward]
    weeks: Sequence[Week]
    late: Sequence[Late]
    findings: Sequence[Group]
    absent: Sequence[Absent]
    gaps: Sequence[GapRow]
    proved: Sequence[Proved]
    lines: Totals


def are_we_paid(period: Period, *, now: datetime) -> AreWePaid:
    """The page's figures as of a moment; a fixed number of queries."""
    today = now.astimezone(UTC).date()
    return AreWePaid(
        period=period,
        balances=roll_forward(period, today=today),
        weeks=expected_weeks(today=today),
        late=overdue(today=today),
        findings=groups(),
        absent=absent_settlements(today=today),
        gaps=[
            GapRow(
                site=gap.site, kind=gap.kind, category=gap.category, fulfillment=gap.fulfillment, currency=gap.currency,
                lines=gap.line_count, blocked=gap.blocked_amount,
            )
            for gap in rule_gaps()
        ],
        proved=proved(),
        lines=totals(),
    )  # fmt: skip


def proved() -> list[Proved]:
    """How much of what was booked agrees with our own expectation, by account and currency."""
    names = dict(Account.objects.values_list("pk", "name"))
    with connection.cursor() as cursor:
        cursor.execute(SHARES, {"client": current().one})
        return [
            Proved(account=names[account], currency=currency, booked=booked, agreed=agreed, without_rule=unruled)
            for account, currency, booked, agreed, unruled in cursor.fetchall()
        ]


def absent_settlements(*, today: date) -> list[Absent]:
    """Statements that are due by the account's cycle and not there, by account and currency."""
    accounts = {account.pk: account for account in Account.objects.all()}
    cycles = _cycles(today)
    heads: dict[tuple[int, str], list[Settlement]] = {}
    dated = Settlement.objects.exclude(period_start=None).exclude(period_end=None)
    for head in dated.order_by("account", "currency", "period_start"):
        heads.setdefault((head.account_id, head.currency), []).append(head)
    found: list[Absent] = []
    for (account_id, currency), ones in heads.items():
        account = accounts[account_id]
        cycle, grace = cycles.get(account_id, (7, 5))
        for what, start, end, ref in _holes(ones, cycle=cycle):
            due = end + timedelta(days=grace)
            if due > today:
                continue
            found.append(
                Absent(
                    account=account.name, account_code=account.code, currency=currency, what=what, start=start, due=due,
                    blocked=_blocked(account_id, currency, start, end), settlement_ref=ref,
                )
            )  # fmt: skip
    return sorted(found, key=lambda row: (-row.blocked, row.account_code, row.start))


def _cycles(today: date) -> dict[int, tuple[int, int]]:
    """Days of an account's settlement cycle and of grace: the longest of its sites."""
    terms = {term.site: term for term in PaymentTerm.objects.filter(valid__contains=today)}
    found: dict[int, tuple[int, int]] = {}
    for account, site in AccountSite.objects.values_list("account", "site__code"):
        if site in terms:
            had = found.get(account, (0, 0))
            found[account] = max(had, (terms[site].cycle_days, terms[site].grace_days))
    return found


def _holes(heads: Sequence[Settlement], *, cycle: int) -> list[tuple[str, date, date, str]]:
    """Days without a statement with lines: (what, first day, last day, statement's number)."""
    holes = []
    covered: datetime | None = None
    for head in heads:
        start, end = head.period_start, head.period_end
        if start is None or end is None:
            continue
        if covered is not None and start - covered > SEAM:
            holes.append(("between", covered.date(), start.date(), ""))
        if head.status == Settlement.Status.WAITING:
            holes.append(("without_lines", start.date(), end.date(), head.settlement_ref))
        covered = end if covered is None else max(covered, end)
    if covered is not None:
        holes.append(("after", covered.date(), covered.date() + timedelta(days=cycle), ""))
    return holes


def _blocked(account: int, currency: str, start: date, end: date) -> Decimal:
    unpaid = Receivable.objects.filter(
        Q(release_on__gte=start, release_on__lt=end) | Q(release_on=end, due_on=end),
        account_id=account, currency=currency, state__in=["due", "overdue", "no_evidence"],
    )  # fmt: skip
    return unpaid.aggregate(rest=Sum("open"))["rest"] or NOTHING
