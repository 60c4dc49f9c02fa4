"""What people work through: settlements with their states, findings behind lines, and what is owed line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Abs

from domventas.core.times import month_of
from finance.models import Discrepancy, LineReconciliation, Receivable, Settlement, SettlementLine
from finance.models.settlements import LineState
from finance.selectors.receivables import COMING as NOT_LATE
from finance.selectors.receivables import IN_QUESTION, UNFINISHED, lacks_fees
from finance.selectors.transfers import settlements_by_transfer

NOTHING: Final = Decimal(0)
PROVEN: Final = (LineState.RECONCILED, LineState.TOLERATED)
#: Groups of states a person asks for at once.
OPEN, COMING, QUESTION, ALL = "open", "coming", "question", "all"
#: Lines whose order has not been read, of all that cannot be judged yet.
AWAITING_ORDER: Final = "awaiting_order"
GROUPS: Final[Mapping[str, Sequence[str]]] = {
    OPEN: UNFINISHED,
    COMING: NOT_LATE,
    QUESTION: IN_QUESTION,
    ALL: tuple(Receivable.State.values),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """What a settlement's lines add up to by state [its currency], and how much of the order-bound value is proved."""

    sums: Mapping[str, Decimal]
    lines: Mapping[str, int]
    share: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How many findings a person decides about, and their amounts per currency: what was on the screen."""

    count: int
    sums: Mapping[str, Decimal]

    def __str__(self) -> str:
        sums = (f"{currency} {amount.normalize():f}" for currency, amount in sorted(self.sums.items()))
        return f"{self.count} {' '.join(sums)}".strip()


def settlements(
    *, account: str = "", currency: str = "", status: str = "", state: str = "", transfer: str = ""
) -> QuerySet[Settlement]:
    """Settlements, the newest first; `state` asks for a line in it, `transfer` for what became of the money."""
    rows = Settlement.objects.select_related("account").order_by("-period_end", "-pk")
    chosen = {"account__code": account, "currency": currency, "status": status}
    rows = rows.filter(**{name: value for name, value in chosen.items() if value})
    if transfer:
        rows = rows.filter(settlements_by_transfer(transfer))
    if state:
        lines = {"state": LineState.AWAITING, "order_line": None} if state == AWAITING_ORDER else {"state": state}
        held = SettlementLine.objects.filter(settlement=OuterRef("pk"), reverses=None, reversed_in=None, **lines)
        rows = rows.filter(Exists(held))
    return rows


def states_of_each(chosen: Iterable[Settlement]) -> Mapping[int, States]:
    """The states of some settlements; one query."""
    rows = (
        SettlementLine.objects.filter(settlement__in=[row.pk for row in chosen], reverses=None, reversed_in=None)
        .order_by()
        .values("settlement", "state")
        .annotate(
            lines=Count("pk"),
            total=Sum("amount"),
            value=Sum(Abs("amount"), filter=Q(order_line__isnull=False) & ~Q(money_class="cash")),
        )
    )
    grouped: dict[int, list[Mapping[str, object]]] = {}
    for row in rows:
        grouped.setdefault(row["settlement"], []).append(row)
    return {pk: _states(parts) for pk, parts in grouped.items()}


def _states(rows: Iterable[Mapping[str, object]]) -> States:
    sums, lines, values = {}, {}, {}
    for row in rows:
        state = str(row["state"])
        amount, count, value = row["total"], row["lines"], row["value"]
        sums[state] = amount if isinstance(amount, Decimal) else NOTHING
        lines[state] = count if isinstance(count, int) else 0
        values[state] = value if isinstance(value, Decimal) else NOTHING
    everything = sum(values.values(), NOTHING)
    proven = sum((values.get(state, NOTHING) for state in PROVEN), NOTHING)
    return States(sums=sums, lines=lines, share=proven / everything if everything else None)


def findings(
    *, account: str = "", currency: str = "", group: str = "", cause: str = "", state: str = "open"
) -> QuerySet[Discrepancy]:
    """Findings as the list of findings shows them, the largest first."""
    chosen = {"account__code": account, "currency": currency, "group_key": group, "cause": cause, "state": state}
    rows = Discrepancy.objects.filter(**{name: value for name, value in chosen.items() if value})
    return rows.select_related("account", "settlement", "line").order_by(Abs("amount").desc(), "pk")


def findings_of(settlement: Settlement, lines: QuerySet[SettlementLine], *, cause: str) -> QuerySet[Discrepancy]:
    """The findings some lines of a settlement belong to, decided or not.

    They are those of their order lines, of the run of equal deviations they are part of, or of the settlement itself.
    """
    bound = lines.order_by().filter(order_line=OuterRef("line"), event=OuterRef("event"))
    runs = LineReconciliation.objects.filter(
        line__in=lines.order_by().values("order_line"), verdict="discrepancy", cause="rate_changed"
    )
    words = lines.order_by().filter(order_line=None).values("raw_type")
    named = (
        SettlementLine.objects.filter(settlement=settlement, raw_type__in=words, reverses=None, reversed_in=None)
        .order_by()
        .values("raw_type")
        .annotate(last=Max("pk"))
        .values("last")
    )
    own = Q(line=None, settlement=settlement)
    if cause == Discrepancy.Cause.UNKNOWN_KIND:
        own &= Q(settlement_line_id__in=named)
    else:
        own &= Q(Exists(lines.order_by().filter(order_line=None)))
    mine = Discrepancy.objects.filter(account_id=settlement.account_id, cause=cause).exclude(state="gone")
    if cause == Discrepancy.Cause.RATE_CHANGED:
        return mine.filter(group_key__in=runs.order_by().values("group_key"))
    return mine.filter(Exists(bound) | own)


def seen(chosen: QuerySet[Discrepancy]) -> Seen:
    """How many findings, and their sums; one query."""
    rows = chosen.order_by().values("currency").annotate(findings=Count("pk"), total=Sum("amount"))
    found = {row["currency"]: (row["findings"], row["total"]) for row in rows}
    return Seen(
        count=sum(count for count, _total in found.values()),
        sums={currency: total for currency, (_count, total) in found.items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerated:
    """Differences too small to look at: how many lines, and their sum with its sign [currency]."""

    currency: str
    lines: int
    amount: Decimal


def tolerated(*, month: date, account: int | None = None) -> list[Tolerated]:
    """Tolerated differences on orders of a day's month, per currency; of all accounts or one."""
    days = month_of(month)
    whose = {"line__account_id": account} if account else {}
    rows = (
        LineReconciliation.objects.filter(
            verdict="tolerated", **whose, line__order__ordered_on__gte=days.start, line__order__ordered_on__lt=days.end
        )
        .order_by("currency")
        .values("currency")
        .annotate(lines=Count("pk"), total=Sum("difference"))
    )
    return [Tolerated(currency=row["currency"], lines=row["lines"], amount=row["total"]) for row in rows]


def waiting() -> QuerySet[Settlement]:
    """Statements announced whose lines have not come."""
    return Settlement.objects.filter(status="waiting").select_related("account").order_by("period_end", "pk")


def owed(
    *,
    account: int | None = None,
    site: str = "",
    currency: str = "",
    state: str = OPEN,
    reason: str = "",
    due_from: date | None = None,
    due_to: date | None = None,
    release_from: date | None = None,
    release_to: date | None = None,
    unbooked: str = "",
    fees: str = "",
) -> QuerySet[Receivable]:
    """Shipped order lines and what is open of them, the longest due first; those without a due day count as later.

    `unbooked` (`sale` or `refund`): finished lines of which a statement has yet to book something expected.
    `fees` (`unknown`): lines of which no rule tells a fee.
    """
    rows = Receivable.objects.filter(state__in=GROUPS.get(state, (state,)))
    if account:
        rows = rows.filter(account_id=account)
    if site:
        rows = rows.filter(line__order__site__code=site)
    if currency:
        rows = rows.filter(currency=currency)
    if reason:
        rows = rows.filter(reason=reason)
    if due_from and due_to:
        rows = rows.filter(due_on__range=(due_from, due_to))
    elif due_from:
        rows = rows.filter(Q(due_on__gte=due_from) | Q(due_on=None))
    elif due_to:
        rows = rows.filter(due_on__lte=due_to)
    released = {"release_on__gte": release_from, "release_on__lte": release_to}
    rows = rows.filter(**{name: day for name, day in released.items() if day})
    if unbooked:
        rows = rows.filter(_is_unbooked(unbooked))
    if fees:
        rows = rows.filter(lacks_fees())
    return rows.select_related("line__order__site").order_by("due_on", "pk")


def _is_unbooked(event: str) -> Q:
    awaited = LineReconciliation.objects.filter(line=OuterRef("line"), event=event, verdict="awaiting")
    return ~Q(state__in=UNFINISHED) & Q(Exists(awaited))


def owed_sums(rows: QuerySet[Receivable]) -> list[tuple[str, int, Decimal | None]]:
    """Currency, order lines and open sum; one query."""
    sums = rows.order_by().values("currency").annotate(lines=Count("pk"), total=Sum("open"))
    return sorted((row["currency"], row["lines"], row["total"]) for row in sums)
