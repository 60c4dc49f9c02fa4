"""How often an account's statements come: what was usual, when the next should end, what its payment terms say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import Final

from finance.models import PaymentTerm
from marketplaces.models import AccountSite

#: Statements of an account that tell its cycle, and the fewest that do.
SEEN: Final = 8
FEWEST: Final = 4
WEEK: Final = range(1, 8)
_DAY: Final = timedelta(days=1)


def usual_cycle(ends: Sequence[datetime]) -> timedelta | None:
    """The median distance of the last eight period ends, the newest first; None where too few, or several a day."""
    seen = ends[:SEEN]
    if len(seen) < FEWEST:
        return None
    cycle = timedelta(days=median((later - sooner) / _DAY for later, sooner in pairwise(seen)))
    return cycle if cycle >= _DAY else None


def next_end(ends: Sequence[date], *, usual: int | None) -> date | None:
    """The day on which the next statement should end, by those of the last ones, the newest first.

    Where the last eight ended several times a week, always on the same weekdays, it is the next of these days; else
    `usual` days after the last. None where neither is known.
    """
    seen = ends[:SEEN]
    days = Counter(day.weekday() for day in seen)
    is_often = len(seen) == SEEN and all((later - sooner).days < len(WEEK) for later, sooner in pairwise(seen))
    if is_often and len(days) > 1 and min(days.values()) > 1:
        return min(day for ahead in WEEK if (day := seen[0] + timedelta(days=ahead)).weekday() in days)
    return seen[0] + timedelta(days=usual) if seen and usual else None


def terms_by_account(*, today: date) -> dict[int, tuple[int, int]]:
    """Days of an account's settlement cycle and of grace by its payment terms: the longest of its sites; two queries.

    Accounts without a payment term of the day are left out.
    """
    terms = {term.site: term for term in PaymentTerm.objects.filter(valid__contains=today)}
    found: dict[int, tuple[int, int]] = {}
    for account, site in AccountSite.objects.values_list("account", "site__code"):
        if site in terms:
            had = found.get(account, (0, 0))
            found[account] = max(had, (terms[site].cycle_days, terms[site].grace_days))
    return found
