"""The head of *Are we paid?*: per currency what is owed, what of it is late or odd, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from domventas.core.times import Period
from finance.pages.paid_rows import Coming, address
from finance.selectors.discrepancies import Group
from finance.selectors.receivables import RollForward, Week

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """One currency: what is owed at the end of the period, and what is to be said about it.

    `overdue` and `question` are of today, and None for a period in the past. `unexplained` is of the period alone;
    `findings` are the open ones of all time, those of payments that are missing (and so are booked nowhere) included.
    """

    currency: str
    owed: Decimal
    owing: Decimal
    """What accounts below zero owe their marketplaces: not taken off what the others are owed."""
    overdue: Decimal | None
    overdue_url: str
    question: Decimal | None
    question_url: str
    unexplained: Decimal
    unexplained_url: str
    findings: int
    differs: Decimal
    next: Coming | None


def headlines(
    balance: list[RollForward],
    weeks: Iterable[Week],
    groups: Iterable[Group],
    transfers: Iterable[Coming],
    *,
    account: str,
    period: Period,
    today: date,
) -> list[Headline]:
    """One headline per currency that has a balance."""
    weeks, groups, transfers = list(weeks), list(groups), list(transfers)
    is_now = period.end > today
    found = []
    for currency in sorted({row.currency for row in balance}):
        mine = [row for row in balance if row.currency == currency]
        late = [week for week in weeks if week.currency == currency and week.start is None]
        wrong = [group for group in groups if group.currency == currency]
        whose = {"account": account, "currency": currency}
        days = {"from": period.start, "to": period.last_day()}
        found.append(
            Headline(
                currency=currency,
                owed=sum((row.closing for row in mine if row.closing > 0), NOTHING),
                owing=sum((row.closing for row in mine if row.closing < 0), NOTHING),
                overdue=_sum(late, is_in_question=False) if is_now else None,
                overdue_url=address("owed", **whose, state="overdue"),
                question=_sum(late, is_in_question=True) if is_now else None,
                question_url=address("owed", **whose, state="question"),
                unexplained=sum((row.unexplained for row in mine), NOTHING),
                unexplained_url=address("entries", **whose, what="unexplained", **days),
                findings=sum(group.findings for group in wrong),
                differs=sum((group.amount for group in wrong), NOTHING),
                next=_next([each for each in transfers if each.transfer.currency == currency], today),
            )
        )
    return found


def _sum(weeks: Iterable[Week], *, is_in_question: bool) -> Decimal:
    return sum((week.amount for week in weeks if week.is_in_question == is_in_question), NOTHING)


def _next(transfers: list[Coming], today: date) -> Coming | None:
    """The soonest transfer whose day is known: still to come, else the last whose day has passed."""
    dated = [each for each in transfers if each.transfer.day and each.transfer.amount is not None]
    ahead = [each for each in dated if each.transfer.day and each.transfer.day >= today]
    return ahead[0] if ahead else dated[-1] if dated else None
