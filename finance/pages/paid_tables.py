"""The tables of *Are we paid?* as files: the same words and figures as on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from finance.pages.tables import as_csv
from finance.selectors.bridge import NAMED, Bridge
from finance.selectors.receivables import Late, RollForward
from finance.selectors.transfers import Transfer

PARTS: Final = ("opening", "sales", "refunds", "fees", "withheld", "payouts", "unexplained", "awaiting", "closing")
GREY: Final = ("reserve", "deferred", "overdue")
Found = Mapping[str, Any]


def file(table: str, found: Found) -> HttpResponse:
    """One table as CSV. Raises: Http404: there is no such table."""
    if table not in TABLES:
        raise Http404(_("There is no such table."))
    head, rows = TABLES[table]
    return as_csv(f"are-we-paid-{table}", head, rows(found))


def _transfers(found: Found) -> Iterable[list[object]]:
    rows: list[Transfer] = found["transfers"]
    return ([row.account_code, row.currency, row.day, row.day_by, row.amount, row.evidence, row.ref, row.until,
             row.statements or None, row.lines, row.lines_without_fees, row.without_fees, row.release_from,
             row.release_to, row.reserve, row.earlier, row.carried, row.failure]
            for row in rows)  # fmt: skip


def _balance(found: Found) -> Iterable[list[object]]:
    rows: list[RollForward] = found["balance"]
    return ([row.account_code, row.currency, *(getattr(row, part) for part in PARTS + GREY), row.proved]
            for row in rows)  # fmt: skip


def _bridge(found: Found) -> Iterable[list[object]]:
    rows: list[Bridge] = found["bridge"]
    return ([row.account_code, row.currency, row.closing, *(row.items[what] for what in NAMED), row.unexplained,
             row.open] for row in rows)  # fmt: skip


def _overdue(found: Found) -> Iterable[list[object]]:
    rows: list[Late] = found["overdue"]
    return (["in question" if row.is_in_question else "overdue", row.account_code, row.reason, row.currency, row.lines,
             *row.ages, row.total] for row in rows)  # fmt: skip


def _gaps(found: Found) -> Iterable[list[object]]:
    for row in found["unproved"]:
        yield ["no evidence yet", row.account_code, row.since, row.lines, row.open, row.currency]
    for row in found["absent"]:
        yield ["settlement absent", row.account_code, row.due, 1, row.blocked, row.currency]
    for row in found["waiting"]:
        yield ["settlement without its lines", row.settlement_ref, row.paid_on, 1, row.header_total, row.currency]
    for gap in found["rule_gaps"]:
        what = " ".join(part for part in (gap.site, gap.kind, gap.category, gap.fulfillment) if part)
        yield ["rule", what, gap.first_on, gap.line_count, gap.blocked_amount, gap.currency]


TABLES: Final[dict[str, tuple[tuple[str, ...], Callable[[Found], Iterable[list[object]]]]]] = {
    "transfers": (
        ("account", "currency", "expected on", "day known by", "amount", "evidence", "statement or transfer",
         "statement until", "statements", "order lines", "lines without fees", "of it without fees",
         "released from", "released to", "apart: reserve", "apart: released earlier", "apart: carried over",
         "why it failed"),
        _transfers,
    ),
    "balance": (("account", "currency", *PARTS[:-2], "awaiting order", "closing", *GREY, "proved"), _balance),
    "bridge": (("account", "currency", "closing", *NAMED, "unexplained", "open lines"), _bridge),
    "weeks": (
        ("currency", "site", "overdue", "in question", "no evidence yet", "week 1", "week 2", "week 3", "week 4",
         "later", "sum"),
        lambda found: ([row.currency, row.site, row.overdue, row.question, row.unproved, *row.weeks, row.later,
                        row.total] for row in found["weeks"]),
    ),
    "overdue": (
        ("what", "account", "reason", "currency", "lines", "1-7 days", "8-30 days", "31-60 days", "over 60 days",
         "sum"),
        _overdue,
    ),
    "findings": (
        ("account", "cause", "site", "group", "findings", "amount", "currency", "claim until"),
        lambda found: ([row.account_code, row.cause, row.site, row.group_key, row.findings, row.amount, row.currency,
                        row.until] for row in found["groups"]),
    ),
    "gaps": (("what is missing", "which", "since", "count", "not proved", "currency"), _gaps),
}  # fmt: skip
