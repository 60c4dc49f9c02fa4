"""What the reconciliation pages ask: states and causes of a settlement, lines alike, one line expected beside paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import Count, QuerySet, Sum

from domventas.core.tenancy import current
from finance.kinds import KIND_PARAMS
from finance.models import ExpectedCharge, LineReconciliation, Settlement, SettlementLine
from finance.models.settlements import LineState
from marketplaces.records import FeeKind
from orders.models import OrderLine

NOTHING: Final = Decimal(0)

UNBALANCED: Final = """
SELECT h.id FROM finance_settlement AS h
LEFT JOIN (
    SELECT settlement_id, sum(amount) AS amount FROM finance_settlementline
    WHERE client_id = %(client)s GROUP BY settlement_id
) AS l ON l.settlement_id = h.id
WHERE h.client_id = %(client)s AND h.status <> 'waiting'
  AND coalesce(l.amount, 0) <> coalesce(h.header_total, h.lines_total)
"""

#: Money given back that only the statement tells has no expectation of our own, so it proves nothing.
SHARE: Final = """
SELECT sum(abs(r.actual)) FILTER (WHERE r.verdict IN ('reconciled', 'tolerated')), sum(abs(r.actual))
FROM finance_linereconciliation AS r
WHERE r.client_id = %(client)s AND r.actual IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM finance_expectedcharge AS e
    WHERE e.client_id = %(client)s AND (e.line_id, e.event, e.kind) = (r.line_id, r.event, r.kind) AND e.basis = 'paid')
"""

#: A settlement's lines by state, cause and kind, with the differences of the order lines they belong to.
CAUSES: Final = """
WITH lines AS (
    SELECT state, cause, kind, event, order_line_id, sum(amount) AS amount, count(*) AS lines
    FROM finance_settlementline
    WHERE client_id = %(client)s AND settlement_id = %(settlement)s AND reverses IS NULL AND reversed_in IS NULL
      AND state <> 'reconciled'
    GROUP BY state, cause, kind, event, order_line_id
)
SELECT l.state, l.cause, l.kind, sum(l.lines)::int, sum(l.amount), sum(r.difference), coalesce(max(r.group_key), '')
FROM lines AS l
LEFT JOIN finance_linereconciliation AS r
  ON r.client_id = %(client)s AND (r.line_id, r.event, r.kind) = (l.order_line_id, l.event, l.kind)
GROUP BY l.state, l.cause, l.kind
ORDER BY abs(coalesce(sum(r.difference), sum(l.amount))) DESC, l.state, l.cause, l.kind
"""


@dataclass(frozen=True, slots=True)
class Share:
    """Lines in one state, and what they add up to [the settlement's currency]."""

    lines: int
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All settlement lines of the acting client by state, and whether each settlement's lines add up to its header.

    `settled_share_by_value`: share of |amount| of order-bound lines that are reconciled or tolerated against an
    expectation of our own; account lines, cash, and money given back that only the statement tells are left out.
    """

    lines: int
    reconciled: int
    tolerated: int
    discrepancies: int
    awaiting: int
    balanced: bool
    settled_share_by_value: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseRow:
    """What one cause explains in a settlement: `difference` is paid − expected; `amount` what those lines booked."""

    state: str
    cause: str
    kind: str
    lines: int
    amount: Decimal
    difference: Decimal | None
    group_key: str = ""


def current_lines(settlement: Settlement | None = None) -> QuerySet[SettlementLine]:
    """Lines that still stand: neither reversed nor a reversal."""
    lines = SettlementLine.objects.filter(reverses=None, reversed_in=None)
    return lines.filter(settlement=settlement) if settlement else lines


def totals() -> Totals:
    """Counts over all settlements; three queries."""
    counted = current_lines().order_by().values("state").annotate(lines=Count("pk"))
    by_state: dict[str, int] = {row["state"]: row["lines"] for row in counted}
    with connection.cursor() as cursor:
        cursor.execute(UNBALANCED, {"client": current().one})
        unbalanced = cursor.fetchall()
    return Totals(
        lines=sum(by_state.values()),
        reconciled=by_state.get(LineState.RECONCILED, 0),
        tolerated=by_state.get(LineState.TOLERATED, 0),
        discrepancies=by_state.get(LineState.DISCREPANCY, 0),
        awaiting=by_state.get(LineState.AWAITING, 0) + by_state.get(LineState.NEW, 0),
        balanced=not unbalanced,
        settled_share_by_value=settled_share_by_value(),
    )


def settled_share_by_value() -> Decimal | None:
    """Share of the booked order-bound value that agrees with our own expectation; None while nothing is booked."""
    with connection.cursor() as cursor:
        cursor.execute(SHARE, {"client": current().one})
        good, everything = cursor.fetchone()
    return (good or NOTHING) / everything if everything else None


def states_of(settlement: Settlement) -> Mapping[str, Share]:
    """A settlement's current lines by state; together they are its header."""
    rows = current_lines(settlement).order_by().values("state").annotate(lines=Count("pk"), amount=Sum("amount"))
    found = {row["state"]: Share(row["lines"], row["amount"]) for row in rows}
    return {
        state.value: found.get(state.value, Share(0, NOTHING))
        for state in (
            LineState.RECONCILED,
            LineState.TOLERATED,
            LineState.AWAITING,
            LineState.DISCREPANCY,
            LineState.NEW,
        )
        if state != LineState.NEW or LineState.NEW in found
    }


def causes_of(settlement: Settlement) -> list[CauseRow]:
    """A settlement's lines that are not simply right, by state, cause and kind, the largest first; one query."""
    names = ("state", "cause", "kind", "lines", "amount", "difference", "group_key")
    with connection.cursor() as cursor:
        cursor.execute(CAUSES, {"client": current().one, "settlement": settlement.pk})
        return [CauseRow(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def lines_alike(settlement: Settlement, *, state: str, cause: str, kind: str = "") -> QuerySet[SettlementLine]:
    """The settlement's lines of one state and cause, with their order lines, for the list a person selects from."""
    lines = current_lines(settlement).filter(state=state, cause=cause)
    if kind:
        lines = lines.filter(kind=kind)
    return lines.select_related("order_line__order", "order_line__sku").order_by("ordinal", "pk")


def judged(lines: QuerySet[SettlementLine]) -> Mapping[tuple[int, str, str], LineReconciliation]:
    """Verdicts of the order lines some settlement lines belong to, by (order line, event, kind); one query."""
    rows = LineReconciliation.objects.filter(line__in=lines.order_by().values("order_line"))
    return {(row.line_id, row.event, row.kind): row for row in rows}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One kind of an order line: expected with its formula and rule, beside paid with the rows that say so."""

    event: str
    kind: str
    money_class: str
    expected: Decimal | None
    actual: Decimal | None
    difference: Decimal | None
    currency: str
    verdict: str
    cause: str
    basis: str
    formula: str
    rule_id: int | None
    rows: tuple[SettlementLine, ...]

    @property
    def settled_on(self) -> date | None:
        """The day of the newest row."""
        return max((row.posted_at.date() for row in self.rows if row.posted_at), default=None)


def line_beside(line: OrderLine) -> list[Beside]:
    """Everything expected of and booked for one order line: see `lines_beside`."""
    return lines_beside([line])[line.pk]


def lines_beside(lines: Sequence[OrderLine]) -> Mapping[int, list[Beside]]:
    """Everything expected of and booked for each order line, sale before refund, prices before fees; three queries."""
    charges = ExpectedCharge.objects.filter(line__in=lines)
    wanted = {(row.line_id, row.event, row.kind): row for row in charges}
    rows: dict[tuple[int | None, str, str], list[SettlementLine]] = {}
    for row in current_lines().filter(order_line__in=lines).select_related("settlement").order_by("posted_at", "pk"):
        rows.setdefault((row.order_line_id, row.event, row.kind), []).append(row)
    found: dict[int, list[Beside]] = {line.pk: [] for line in lines}
    for verdict in LineReconciliation.objects.filter(line__in=lines):
        key = (verdict.line_id, verdict.event, verdict.kind)
        found[verdict.line_id].append(_beside(verdict, wanted.get(key), rows.get(key, [])))
    return {line: sorted(parts, key=_reading_order) for line, parts in found.items()}


def _beside(verdict: LineReconciliation, expected: ExpectedCharge | None, rows: Sequence[SettlementLine]) -> Beside:
    return Beside(
        event=verdict.event, kind=verdict.kind, money_class=_class_of(verdict.kind), expected=verdict.expected,
        actual=verdict.actual, difference=verdict.difference, currency=verdict.currency,
        verdict=verdict.verdict, cause=verdict.cause, basis=expected.basis if expected else "",
        formula=expected.formula if expected else "", rule_id=expected.rule_id if expected else None,
        rows=tuple(rows),
    )  # fmt: skip


def _class_of(kind: str) -> str:
    try:
        return FeeKind(kind).money_class.value
    except ValueError:  # a kind we do not know (any more) has no class, and its page still opens
        return ""


def _reading_order(row: Beside) -> tuple[Any, ...]:
    prices = KIND_PARAMS["prices"] + KIND_PARAMS["taxes"]
    return (row.event != "sale", prices.index(row.kind) if row.kind in prices else len(prices), row.kind)
