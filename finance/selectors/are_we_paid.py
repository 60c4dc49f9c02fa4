"""Statements that should be here, with what is open for the lines that should stand in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db.models import Sum

from finance.models import Payout, Receivable
from finance.selectors.statements import Absent as Missing
from finance.selectors.statements import absent_statements

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A statement that should be here: between two that are, after the last one, or announced without its lines.

    `blocked` is what is open for lines that should stand in it [currency]: not a loss, but not provable. `transferred`
    is what came for it all the same: then only its lines are missing, and nothing is withheld.
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
    transferred: Decimal | None = None
    transferred_on: date | None = None


def absent_settlements(*, today: date) -> list[Absent]:
    """The statements that are missing, as every page counts them, with what they block; the dearest first."""
    missing = absent_statements(today=today)
    unpaid = _unpaid([row.account_id for row in missing])
    made = _made([row.settlement_ref for row in missing if row.what == "without_lines"])
    found = [
        Absent(
            account=row.account, account_code=row.account_code, currency=row.currency, what=row.what, start=row.start,
            due=row.due_on, blocked=_blocked(unpaid[row.account_id, row.currency], row.start, row.end),
            **_announced(row, made),
        )
        for row in missing
    ]  # fmt: skip
    return sorted(found, key=lambda row: (-row.blocked, row.account_code, row.start))


def _made(refs: Collection[str]) -> dict[tuple[int, str], Payout]:
    """The transfers that were made for these statements, by account and statement."""
    rows = Payout.objects.filter(state=Payout.State.PAID, settlement_ref__in=refs)
    return {(row.account_id, row.settlement_ref): row for row in rows}


def _announced(row: Missing, made: Mapping[tuple[int, str], Payout]) -> dict[str, Any]:
    """Number and transfer of a statement that was announced; nothing of another."""
    if row.what != "without_lines":
        return {}
    payout = made.get((row.account_id, row.settlement_ref))
    told = {"transferred": payout.amount, "transferred_on": payout.paid_on} if payout else {}
    return {"settlement_ref": row.settlement_ref, **told}


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
