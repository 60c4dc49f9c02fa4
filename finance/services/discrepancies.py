"""Findings about money: found set-based, known again by fingerprint; people accept or claim them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError
from finance.models import Discrepancy
from finance.selectors.rates import rates_on
from finance.services import deviation_sql as sums
from finance.services import discrepancy_sql as sql

TEMPORARY: Final = ("found",)
#: Tolerated differences of one month, site and kind: this many lines one way, or this much money, is a finding.
ONE_SIDED_LINES: Final = 20
ONE_SIDED_EUR: Final = Decimal(5)


class CannotDecide(DomventasError, ValueError):
    """A finding that is gone or decided otherwise cannot be decided again."""

    message = "This finding cannot be decided."


def find(cursor: CursorWrapper, params: Mapping[str, Any]) -> int:
    """Store the findings of the lines in `line_facts`, of sums and settlements touched. Returns rows written."""
    currencies: list[str] = params["currencies"]
    book = rates_on(params["today"])
    limits = [book.convert(ONE_SIDED_EUR, "EUR", currency) for currency in currencies]
    known = {
        **params,
        "one_sided_lines": ONE_SIDED_LINES,
        "limit_currencies": currencies,
        "limit_amounts": [limit.amount if limit else None for limit in limits],  # else their number tells
    }
    found = (sql.FOUND, sql.OF_LINES, sums.FINGERPRINTS, sums.OF_RUNS, sql.MISSING, sql.OF_SETTLEMENTS, sums.OF_MONTHS)
    for statement in found:
        cursor.execute(statement, known)
    cursor.execute(sql.MERGE, known)
    written = int(cursor.rowcount)
    for statement in (sql.GONE, sql.EXPIRED):
        cursor.execute(statement, known)
        written += int(cursor.rowcount)
    cursor.execute(sums.EMPTY, known)
    return written


def accept(findings: Iterable[int], *, until: date | None, note: str, by: str, now: datetime) -> int:
    """Live with these findings until a day (for ever without one). Returns how many were open and are accepted.

    Raises: CannotDecide: no reason, or a day that has passed.
    """
    if not note.strip():
        raise CannotDecide(_("Say why it is accepted."))
    if until is not None and until <= now.date():
        raise CannotDecide(_("%(day)s has passed.") % {"day": until})
    return _decide(findings, Discrepancy.State.ACCEPTED, note=note, by=by, until=until)


def claim(findings: Iterable[int], *, note: str, by: str) -> int:
    """Note that these findings have been claimed at the marketplace. Returns how many were open and are claimed.

    Raises: CannotDecide: no reference of the claim.
    """
    if not note.strip():
        raise CannotDecide(_("Give the marketplace's reference of the claim."))
    return _decide(findings, Discrepancy.State.CLAIMED, note=note, by=by, until=None)


def reopen(findings: Iterable[int], *, by: str) -> int:
    """Take decisions back. Returns how many were accepted or claimed and are open again."""
    with transaction.atomic():
        decided = Discrepancy.objects.filter(
            pk__in=list(findings), state__in=[Discrepancy.State.ACCEPTED, Discrepancy.State.CLAIMED]
        )
        return decided.update(state=Discrepancy.State.OPEN, accepted_until=None, decided_by=by, is_seen=False)


def _decide(findings: Iterable[int], state: Discrepancy.State, *, note: str, by: str, until: date | None) -> int:
    with transaction.atomic():
        open_ones = Discrepancy.objects.filter(pk__in=list(findings), state=Discrepancy.State.OPEN)
        return open_ones.update(state=state, note=note[:300], decided_by=by, accepted_until=until, is_seen=False)
