"""Rows of *Are we paid?* in words: when the next transfers come, and what stands between balance and open lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.times import Period
from finance.selectors.are_we_paid import Absent
from finance.selectors.bridge import NAMED, Bridge
from finance.selectors.entries import WHATS
from finance.selectors.receivables import RollForward
from finance.selectors.transfers import Transfer
from marketplaces.models import Account

#: The roll-forward from its opening to what stands before its closing.
BETWEEN: Final = ("opening", *WHATS)
ONE_DAY: Final = timedelta(days=1)
#: Items told by order lines of which something is not booked, and by what became of a statement's money.
UNBOOKED: Final = {"refunds": "refund", "finished": "sale"}
BY_TRANSFER: Final = {"stated": "open", "below": "below", "ahead": "ahead"}
#: How the day of a transfer is known, or why it is not.
DAYS: Final = {
    "told": _("as the marketplace names it"),
    "no_transfer": _("no transfer of this account has been seen yet"),
    "no_cycle": _("no payment term, and too few statements to tell a cycle"),
    "failed": _("the transfer has failed"),
    "untold": _("nobody has told that they were sent"),
}
#: What the items between closing balance and open lines are called, and what they are.
ITEMS: Final = {
    "later": (_("Dated tomorrow"), _("where it is tomorrow already")),
    "stated": (_("Transfer to come"), _("booked in statements that are here; no line is open for it any more")),
    "below": (_("Statements below zero"), _("booked, and nothing is transferred for them")),
    "reserve": (_("Held in reserve"), _("booked, and held by the marketplace")),
    "ahead": (_("Paid, lines not here"), _("transferred for statements whose lines have not come: still open below")),
    "carried": (_("Carried over"), _("from statement to statement, or transferred otherwise than stated")),
    "refunds": (_("Refunds to be booked"), _("given back on finished lines; a coming statement takes them off")),
    "finished": (_("Written off"), _("expected on finished lines, and not asked for any more")),
    "question": (_("In question"), _("paid otherwise than expected; a line still asks for the rest")),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Coming:
    """One transfer as the page tells it: what proves it, where that is, by site, and what is not in its amount."""

    transfer: Transfer
    url: str
    only: str
    how: Any
    sites: Sequence[tuple[str, Decimal, str]]
    apart: Sequence[tuple[Any, Decimal, str]]
    missing_since: date | None
    """From this day on its statement is missing, as the evidence gaps tell it."""
    without_fees: str
    """The lines of an estimate whose fees nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A step of the bridge of one account and currency; `url` leads to what it is made of, where there is a list."""

    amount: Decimal
    url: str


class Figure(NamedTuple):
    """A figure of the roll-forward and the entries it is the sum of; zero has none."""

    amount: Decimal
    url: str
    is_bad: bool = False


def address(name: str, **asked: object) -> str:
    """A money page with its filters; empty ones are left out."""
    return f"{reverse(f'finance:{name}')}?{urlencode({key: str(value) for key, value in asked.items() if value})}"


def coming(rows: Iterable[Transfer], *, absent: Iterable[Absent], only: Callable[[str], str]) -> list[Coming]:
    """The next transfers with their evidence; `only` gives the page's address for one account."""
    absent = list(absent)
    ahead = {(row.account_code, row.currency) for row in absent if row.transferred}
    missing = {(row.account_code, row.currency): row.due for row in absent if row.what == "after"}
    return [
        Coming(
            transfer=row, url=_evidence(row), only=only(row.account_code), how=_how(row),
            apart=_apart(row, is_ahead=(row.account_code, row.currency) in ahead),
            sites=[(site, amount, _evidence(row, site)) for site, amount in row.by_site],
            missing_since=missing.get((row.account_code, row.currency)) if row.evidence == "running" else None,
            without_fees=_evidence(row, fees="unknown") if row.lines_without_fees else "",
        )
        for row in rows
    ]  # fmt: skip


def _evidence(row: Transfer, site: str = "", fees: str = "") -> str:
    if row.settlement:
        return reverse("finance:settlement", args=[row.settlement])
    if row.statements:
        return address("settlements", account=row.account_code, currency=row.currency, transfer="open")
    if row.evidence != "running":
        return f"{reverse('admin:finance_payout_changelist')}?{urlencode({'q': row.ref})}"
    if row.release_from is None:
        return address("owed", account=row.account_code, currency=row.currency, state=row.state)
    return address(
        "owed", account=row.account_code, currency=row.currency, site=site, state=row.state,
        release_from=row.release_from, release_to=row.release_to, fees=fees,
    )  # fmt: skip


def _how(row: Transfer) -> Any:
    if row.day_by == "usual" and row.lag is not None:
        words = ngettext(
            "usually %(lag)d day after a statement ends", "usually %(lag)d days after a statement ends", row.lag
        )
        return words % {"lag": row.lag}
    if row.day_by == "no_statement":
        return _("no statement of it has come yet")
    return DAYS[row.day_by]


def _apart(row: Transfer, *, is_ahead: bool) -> list[tuple[Any, Decimal, str]]:
    """What belongs to the account and is not in the amount; `is_ahead`: a statement was transferred before its lines
    came, and may hold what is open.
    """
    if row.evidence != "running":
        return []
    found: list[tuple[Any, Decimal, str]] = []
    if row.reserve:
        found.append((_("held in reserve"), row.reserve, reserve_lines(row.account_id, row.currency)))
    if row.earlier and row.release_from:
        last = row.release_from - ONE_DAY
        url = address("owed", account=row.account_code, currency=row.currency, state=row.state, release_to=last)
        words = _("released earlier, in no booked statement")
        if is_ahead:
            words = _("released earlier; may stand in a transferred statement whose lines are not here")
        found.append((words, row.earlier, url))
    if row.last and row.last.paid_on:
        url = f"{reverse('admin:finance_payout_changelist')}?{urlencode({'q': row.last.external_id})}"
        day = date_format(row.last.paid_on, "j M")
        found.append((_("transferred last, on %(day)s") % {"day": day}, row.last.amount, url))
    if row.carried:
        url = address("settlements", account=row.account_code, currency=row.currency, transfer="below")
        found.append((_("last statement below zero"), row.carried, url))
    return found


def entries(row: RollForward, period: Period, what: str) -> Figure:
    """A figure of the roll-forward with its entries: a column's of the period, else all up to a day."""
    amount: Decimal = getattr(row, what)
    first, last = (period.start, period.last_day()) if what in WHATS else (None, period.last_day())
    if what == "opening":
        last = period.start - ONE_DAY
    asked = {"account": row.account_code, "currency": row.currency, "what": what if what in WHATS else "",
             "from": first or "", "to": last}  # fmt: skip
    return Figure(amount, address("entries", **asked) if amount else "", what == "unexplained" and amount != 0)


def reserve_lines(account_id: int, currency: str) -> str:
    """The lines by which a marketplace took money into reserve and gave it back."""
    asked = {"account_id__exact": account_id, "kind__exact": "reserve", "currency__exact": currency}
    return f"{reverse('admin:finance_settlementline_changelist')}?{urlencode(asked)}"


def steps(rows: Sequence[Bridge], accounts: Iterable[Account]) -> dict[str, Any]:
    """The bridges as a table that holds only items somebody has: their heads, and each row with its steps."""
    ids = {account.code: account.pk for account in accounts}
    used = [what for what in NAMED if any(row.items[what] for row in rows)]
    return {
        "heads": [ITEMS[what] for what in used],
        "rows": [(row, [Item(amount=row.items[what], url=_made_of(what, row, ids)) for what in used]) for row in rows],
        "is_unexplained": any(row.unexplained for row in rows),
    }


def _made_of(what: str, row: Bridge, ids: dict[str, int]) -> str:
    whose = {"account": row.account_code, "currency": row.currency}
    if what == "reserve":
        return reserve_lines(ids[row.account_code], row.currency)
    if what == "question":
        return address("owed", **whose, state="question")
    if what in UNBOOKED:
        return address("owed", **whose, state="all", unbooked=UNBOOKED[what])
    if what in BY_TRANSFER:
        return address("settlements", **whose, transfer=BY_TRANSFER[what])
    return address("settlements", **whose) if what == "carried" else address("owed", **whose, state="all")
