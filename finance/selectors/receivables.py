"""What the marketplaces owe: receivables by state, what comes when, what is late and why, and how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import Count, Exists, Min, OuterRef, Q, Sum

from domventas.core.tenancy import current
from domventas.core.times import Period
from finance.kinds import KIND_PARAMS
from finance.models import ExpectedCharge, FeeRule, Receivable
from finance.selectors.entries import MOVED_BY_PERIOD
from marketplaces.models import Account

NOTHING: Final = Decimal(0)
SITE: Final = "line__order__site__code"
#: Instead of the number of a week.
_OVERDUE: Final = -2
_QUESTION: Final = -1
#: Not late, and nothing paid yet: it comes by itself.
COMING: Final = ("not_due", "deferred", "due")
#: Paid otherwise than expected, or claimed: it comes only if somebody asks for it.
IN_QUESTION: Final = ("part_paid", "disputed")
#: States in which money is still to come.
UNFINISHED: Final = (*COMING, "overdue", *IN_QUESTION, "no_evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRow:
    """Receivables of one account, currency and state; None where no part is known."""

    account: str
    currency: str
    state: str
    lines: int
    shipped: Decimal | None
    open: Decimal | None


def sums_by_state() -> list[StateRow]:
    """Shipped value and what is open by account, currency and state; the states add up to what was shipped."""
    names = dict(Account.objects.values_list("pk", "code"))
    rows = (
        Receivable.objects.order_by("account_id", "currency", "state")
        .values("account_id", "currency", "state")
        .annotate(lines=Count("pk"), shipped=Sum("shipped_value"), rest=Sum("open"))
    )
    return [
        StateRow(
            account=names[row["account_id"]], currency=row["currency"], state=row["state"], lines=row["lines"],
            shipped=row["shipped"], open=row["rest"],
        )
        for row in rows
    ]  # fmt: skip


def lacks_fees() -> Q:
    """Receivables of which a fee of the sale is not known: no rule tells it, so nothing has been taken off for it."""
    gaps = ExpectedCharge.objects.filter(line=OuterRef("line"), event="sale", basis=ExpectedCharge.Basis.GAP)
    return Q(Exists(gaps)) | ~Q(Exists(FeeRule.objects.filter(site=OuterRef(SITE))))


#: What moved the balance, added up by kind of movement.
MOVEMENTS: Final = f"""{MOVED_BY_PERIOD}
SELECT account_id, currency,
       coalesce(sum(amount) FILTER (WHERE day < %(start)s), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'sales'), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'refunds'), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'fees'), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'withheld'), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'payouts'), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'unexplained'), 0),
       coalesce(sum(amount) FILTER (WHERE day >= %(start)s AND what = 'awaiting'), 0),
       coalesce(sum(amount), 0), coalesce(sum(later), 0)
FROM (SELECT account_id, currency, what, day, CASE WHEN day < %(end)s THEN amount END AS amount,
             CASE WHEN day >= %(end)s THEN amount END AS later FROM moved) AS dated
GROUP BY account_id, currency
HAVING count(amount) > 0 OR %(is_now)s
ORDER BY account_id, currency
"""

#: The same balance by the marketplaces' own papers: all they have booked, less what they have transferred, and what is
#: still to be booked for shipped lines. A statement's lines add up to its total; cash movements are none of it.
PROVED: Final = """
WITH parts AS (
    SELECT account_id, currency, awaited AS amount FROM finance_receivable
    WHERE client_id = %(client)s AND awaited IS NOT NULL
    UNION ALL
    SELECT account_id, currency, coalesce(header_total, lines_total) FROM finance_settlement
    WHERE client_id = %(client)s AND status <> 'waiting'
    UNION ALL
    SELECT account_id, currency, -amount FROM finance_settlementline
    WHERE client_id = %(client)s AND reverses IS NULL AND reversed_in IS NULL AND money_class = 'cash'
    UNION ALL
    SELECT account_id, currency, -amount FROM finance_payout
    WHERE client_id = %(client)s AND state = 'paid' AND paid_on IS NOT NULL
)
SELECT account_id, currency, coalesce(sum(amount), 0) FROM parts GROUP BY account_id, currency
"""

HELD: Final = """
SELECT account_id, currency, -coalesce(sum(amount), 0) FROM finance_settlementline
WHERE client_id = %(client)s AND money_class = 'cash' AND kind = 'reserve'
  AND reverses IS NULL AND reversed_in IS NULL
GROUP BY account_id, currency
"""


def held() -> dict[tuple[int, str], Decimal]:
    """What marketplaces hold in reserve now, by account and currency; one query."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"client": current().one})
        return {(account, currency): amount for account, currency, amount in cursor.fetchall()}


@dataclass(frozen=True, slots=True, kw_only=True)
class RollForward:
    """opening + sales + refunds + fees + withheld + payouts + unexplained + awaiting = closing [currency].

    Sales come from shipped order lines, not from statements. `unexplained` is paid − expected of what was booked;
    `awaiting` is booked for orders we do not know yet. Grey parts of the closing balance: `reserve`, `deferred`,
    `overdue`. `proved` is the closing balance by the statements, now; None for a period in the past. `later` is dated
    after the period: with a period that ends today, where it is tomorrow already.
    """

    account_id: int
    account: str
    account_code: str
    currency: str
    opening: Decimal
    sales: Decimal
    refunds: Decimal
    fees: Decimal
    withheld: Decimal
    payouts: Decimal
    unexplained: Decimal
    awaiting: Decimal
    closing: Decimal
    later: Decimal = NOTHING
    reserve: Decimal = NOTHING
    deferred: Decimal = NOTHING
    overdue: Decimal = NOTHING
    proved: Decimal | None = None
    states: dict[str, Decimal] = field(default_factory=dict)


def roll_forward(period: Period, *, today: date) -> list[RollForward]:
    """The balance of each account and currency over a period; five queries."""
    is_now = period.end > today
    params: dict[str, Any] = {
        "client": current().one, "start": period.start, "end": period.end, "is_now": is_now, **KIND_PARAMS,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(MOVEMENTS, params)
        moved = cursor.fetchall()
        cursor.execute(PROVED, params)
        proved = {(account, currency): amount for account, currency, amount in cursor.fetchall()}
    reserves = held()
    accounts = {account.pk: account for account in Account.objects.all()}
    open_sums: dict[tuple[str, str], dict[str, Decimal]] = {}
    for row in sums_by_state():
        open_sums.setdefault((row.account, row.currency), {})[row.state] = row.open or NOTHING
    found = []
    for account_id, currency, *amounts in moved:
        account = accounts[account_id]
        states = open_sums.get((account.code, currency), {}) if is_now else {}
        names = ("opening", "sales", "refunds", "fees", "withheld", "payouts", "unexplained", "awaiting", "closing",
                 "later")  # fmt: skip
        parts: dict[str, Any] = dict(zip(names, amounts, strict=True))
        found.append(
            RollForward(
                account_id=account_id, account=account.name, account_code=account.code, currency=currency, **parts,
                reserve=reserves.get((account_id, currency), NOTHING) if is_now else NOTHING,
                deferred=states.get("deferred", NOTHING), overdue=states.get("overdue", NOTHING), states=states,
                proved=proved.get((account_id, currency), NOTHING) - parts["later"] if is_now else None,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """What is expected in one week of one currency; `is_later` = beyond the four weeks. The first holds what is in its
    days of grace, too.

    Without a week (`start` None) is what comes by itself no more: overdue, or, with `is_in_question`, part-paid and
    disputed. `site` is told where one account is asked for.
    """

    currency: str
    start: date | None
    amount: Decimal
    lines: int
    is_later: bool = False
    is_in_question: bool = False
    site: str = ""


def expected_weeks(*, today: date, weeks: int = 4, account: int | None = None) -> list[Week]:
    """Open receivables by the week they are due, per currency: overdue first, then in question, what is later last.

    All accounts together, or one by its sites. What has no evidence yet is left out: nobody could say when it came.
    """
    last = today + timedelta(weeks=weeks)
    sums: dict[tuple[str, str, int], tuple[Decimal, int]] = {}
    rows = (
        Receivable.objects.filter(state__in=UNFINISHED, **({"account_id": account} if account else {}))
        .exclude(state=Receivable.State.NO_EVIDENCE)
        .order_by()
        .values("currency", "state", "due_on", *([SITE] if account else ()))
        .annotate(rest=Sum("open"), lines=Count("pk"))
    )
    for row in rows:
        due: date = row["due_on"] or last
        week = min(max((due - today).days, 0) // 7, weeks)
        if row["state"] not in COMING:
            week = _QUESTION if row["state"] in IN_QUESTION else _OVERDUE
        key = (row["currency"], row.get(SITE, ""), week)
        amount, lines = sums.get(key, (NOTHING, 0))
        sums[key] = (amount + (row["rest"] or NOTHING), lines + row["lines"])
    return [
        Week(
            currency=currency, start=None if week < 0 else today + timedelta(weeks=week), amount=amount, lines=lines,
            is_later=week == weeks, is_in_question=week == _QUESTION, site=site,
        )
        for (currency, site, week), (amount, lines) in sorted(sums.items())
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproved:
    """Shipped lines of an account whose money no statement speaks of yet, where statements come by hand."""

    account: str
    account_code: str
    site: str
    currency: str
    lines: int
    since: date | None
    """When the first of them left."""
    open: Decimal


def without_evidence() -> list[Unproved]:
    """What was sold where nobody has told what was paid, by account, site and currency; two queries."""
    accounts = {account.pk: account for account in Account.objects.all()}
    rows = (
        Receivable.objects.filter(state=Receivable.State.NO_EVIDENCE)
        .order_by("account_id", SITE, "currency")
        .values("account_id", SITE, "currency")
        .annotate(lines=Count("pk"), since=Min("shipped_on"), rest=Sum("open"))
    )
    return [
        Unproved(
            account=accounts[row["account_id"]].name, account_code=accounts[row["account_id"]].code,
            site=row[SITE], currency=row["currency"], lines=row["lines"], since=row["since"],
            open=row["rest"] or NOTHING,
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Money that is overdue or in question, by reason and age: open for up to 7, 8–30, 31–60 and more days."""

    is_in_question: bool
    reason: str
    account: str
    account_code: str
    currency: str
    lines: int
    ages: tuple[Decimal, Decimal, Decimal, Decimal]

    @property
    def total(self) -> Decimal:
        """All ages together."""
        return sum(self.ages, NOTHING)


def overdue_or_in_question(*, today: date) -> list[Late]:
    """What comes by itself no more, by account, reason and age since it was due; overdue first; two queries.

    Adds up to what `expected_weeks` has without a week. Disputed lines have the reason `claimed`.
    """
    accounts = {account.pk: account for account in Account.objects.all()}
    found: dict[tuple[bool, str, int, str], tuple[int, list[Decimal]]] = {}
    rows = (
        Receivable.objects.filter(state__in=["overdue", *IN_QUESTION])
        .order_by()
        .values_list("state", "reason", "account_id", "currency", "due_on")
        .annotate(rest=Sum("open"), lines=Count("pk"))
    )
    for state, reason, account, currency, due_on, rest, count in rows:
        days = (today - due_on).days if due_on else 0
        age = 0 if days <= 7 else 1 if days <= 30 else 2 if days <= 60 else 3
        key = (state in IN_QUESTION, "claimed" if state == Receivable.State.DISPUTED else reason, account, currency)
        lines, ages = found.setdefault(key, (0, [NOTHING] * 4))
        ages[age] += rest or NOTHING
        found[key] = (lines + count, ages)
    return [
        Late(
            is_in_question=is_in_question, reason=reason, account=accounts[account].name,
            account_code=accounts[account].code, currency=currency, lines=lines, ages=(a[0], a[1], a[2], a[3]),
        )
        for (is_in_question, reason, account, currency), (lines, a) in sorted(found.items())
    ]  # fmt: skip
