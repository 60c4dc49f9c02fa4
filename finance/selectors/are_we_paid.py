"""The page a controller opens first: balances, what comes when, what is late, wrong, or cannot be proved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from django.db import connection
from django.db.models import Sum

from domventas.core.tenancy import current
from domventas.core.times import Period
from finance.models import Receivable
from finance.selectors.discrepancies import Group, groups, rule_gaps
from finance.selectors.receivables import (
    Late,
    RollForward,
    Week,
    expected_weeks,
    overdue_or_in_question,
    roll_forward,
)
from finance.selectors.reconciliation import Totals, totals
from finance.selectors.statements import absent_statements
from marketplaces.models import Account

NOTHING: Final = Decimal(0)

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
        late=overdue_or_in_question(today=today),
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
    """The statements that are missing, as every page counts them, with what they block; the dearest first."""
    missing = absent_statements(today=today)
    unpaid = _unpaid([row.account_id for row in missing])
    found = [
        Absent(
            account=row.account, account_code=row.account_code, currency=row.currency, what=row.what, start=row.start,
            due=row.due_on, blocked=_blocked(unpaid[row.account_id, row.currency], row.start, row.end),
            settlement_ref=row.settlement_ref if row.what == "without_lines" else "",
        )
        for row in missing
    ]  # fmt: skip
    return sorted(found, key=lambda row: (-row.blocked, row.account_code, row.start))


def _unpaid(accounts: Collection[int]) -> dict[tuple[int, str], list[tuple[date, date | None, Decimal]]]:
    """What is open, by account and currency: the day it is released, the day it is due, how much [currency]."""
    rows = Receivable.objects.filter(
        account_id__in=accounts, state__in=["due", "overdue", "no_evidence"], release_on__isnull=False
    ).order_by("release_on")
    found: dict[tuple[int, str], list[tuple[date, date | None, Decimal]]] = defaultdict(list)
    for account, currency, released, due, rest in rows.values_list(
        "account_id", "currency", "release_on", "due_on"
    ).annotate(rest=Sum("open")):
        found[account, currency].append((released, due, rest or NOTHING))
    return found


def _blocked(unpaid: Sequence[tuple[date, date | None, Decimal]], start: date, end: date) -> Decimal:
    """What should stand in a statement of those days; what is released on the last one, only if it is due at once."""
    return sum((x for released, due, x in unpaid if start <= released < end or released == due == end), NOTHING)
