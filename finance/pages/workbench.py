"""The reconciliation workbench: one settlement, its proof, causes, lines alike, and one line expected beside paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from domventas.core.pages import page, with_query
from finance.models import LineReconciliation, Settlement, SettlementLine
from finance.models.settlements import LineState
from finance.pages.decisions import DECIDE, FILTER, DecideForm, picked
from finance.pages.decisions import decide as carry_out
from finance.pages.steps import steps
from finance.pages.tables import as_csv, wants_csv
from finance.pages.words import CAUSES, CLASSES, STATES
from finance.selectors import reconciliation, workbench
from finance.selectors.line import opened
from finance.selectors.reconciliation import CauseRow

PER_PAGE: Final = 50
#: Of which states in the proof strip the bar has which pattern.
PATTERN: Final = {"reconciled": "", "tolerated": "b", "awaiting": "c", "discrepancy": "d", "new": "c"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which lines the address asks for."""

    state: str
    cause: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A settlement line beside the verdict on its component; `expected` and `difference` None where none is."""

    line: SettlementLine
    expected: Decimal | None
    paid: Decimal
    difference: Decimal | None
    url: str


@require_GET
@permission_required("finance.view_settlement", raise_exception=True)
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Draw the settlement, or the lines chosen as CSV."""
    settlement = _settlement(pk)
    causes = reconciliation.causes_of(settlement)
    chosen = _chosen(request.GET, causes)
    lines = _lines(settlement, chosen)
    if wants_csv(request):
        return _csv(settlement, lines)
    return _draw(request, settlement, causes, chosen)


@require_POST
@permission_required(DECIDE, raise_exception=True)
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Decide about the findings behind the ticked lines, or behind all lines alike if they are still what was seen."""
    settlement = _settlement(pk)
    causes = reconciliation.causes_of(settlement)
    chosen = _chosen(request.GET, causes)
    lines = _lines(settlement, chosen)
    if request.POST.get("scope") != FILTER:
        lines = lines.filter(pk__in=picked(request))
    found = workbench.findings_of(settlement, lines, cause=chosen.cause)
    _done, there = carry_out(request, found, DecideForm(request.POST), now=clock())
    if there is not None:
        return _draw(request, settlement, causes, chosen, status=409)
    return redirect(f"{_home(request)}?{request.GET.urlencode()}")


def _home(request: HttpRequest) -> str:
    return request.path.removesuffix("decide/")


def _settlement(pk: int) -> Settlement:
    return get_object_or_404(Settlement.objects.select_related("account"), pk=pk)


def _chosen(query: QueryDict, causes: list[CauseRow]) -> Chosen:
    """What the address names, else the first cause of a discrepancy, else the first of any."""
    state, cause, kind = (query.get(name, "") for name in ("state", "cause", "kind"))
    if state or cause:
        known = state if state in STATES else LineState.DISCREPANCY.value
        first = next((row for row in causes if row.state == known and row.cause == cause), None)
        first = first or next((row for row in causes if row.state == known and "cause" not in query), None)
        return Chosen(state=known, cause=cause or (first.cause if first else ""), kind=kind)
    wrong = next((row for row in causes if row.state == LineState.DISCREPANCY), None) or next(iter(causes), None)
    if wrong is None:
        return Chosen(state=LineState.RECONCILED.value, cause="", kind="")
    return Chosen(state=wrong.state, cause=wrong.cause, kind=wrong.kind)


def _lines(settlement: Settlement, chosen: Chosen) -> QuerySet[SettlementLine]:
    return reconciliation.lines_alike(settlement, state=chosen.state, cause=chosen.cause, kind=chosen.kind)


def _draw(
    request: HttpRequest, settlement: Settlement, causes: list[CauseRow], chosen: Chosen, status: int = 200
) -> HttpResponse:
    lines = _lines(settlement, chosen)
    shown = Paginator(lines, PER_PAGE).get_page(request.GET.get("page"))
    rows = _rows(request, list(shown))
    found = workbench.findings_of(settlement, lines, cause=chosen.cause)
    open_ones, decided = found.filter(state="open"), found.exclude(state="open")
    seen = workbench.seen(found)
    line = _line(request, settlement, rows)
    context = {
        "title": f"{_('Settlement')} {settlement.settlement_ref}",
        "settlement": settlement,
        "proof": _proof(settlement),
        "neighbors": _neighbors(settlement),
        "causes": [(row, _cause_title(row), _cause_url(request, row), _is_current(row, chosen)) for row in causes],
        "cause_title": _title(chosen.state, chosen.cause),
        "chosen": chosen,
        "group_key": next((row.group_key for row in causes if _is_current(row, chosen)), ""),
        "rows": rows,
        "steps": steps(request, shown),
        "seen": seen,
        "sums": sorted(seen.sums.items()),
        "decided": decided.count() if chosen.state == LineState.DISCREPANCY else 0,
        "is_open": open_ones.exists(),
        "may_decide": request.user.has_perm(DECIDE) and chosen.state == LineState.DISCREPANCY,
        "may_see_raw": request.user.has_perm("marketplaces.view_rawdocument"),
        "query": request.GET.urlencode(),
        "csv_url": f"{_home(request)}?{_query(request, format='csv')}",
        "opened": opened(line) if line else None,
        "classes": CLASSES,
    }
    return page(request, "finance/workbench.html", context, status=status)


def _proof(settlement: Settlement) -> dict[str, Any]:
    """The strip: each state's sum and lines, and whether they are the header to the cent."""
    states = reconciliation.states_of(settlement)
    total = sum((part.amount for part in states.values()), Decimal(0))
    header = settlement.lines_total if settlement.header_total is None else settlement.header_total
    return {
        "parts": [(STATES[state], part, PATTERN[state], _state_query(state)) for state, part in states.items()],
        "lines": sum(part.lines for part in states.values()),
        "total": total,
        "header": header,
        "is_equal": total == header,
    }


def _state_query(state: str) -> str:
    return f"?state={state}"


def _neighbors(settlement: Settlement) -> dict[str, Settlement | None]:
    """The settlements before and after of the same account and currency."""
    rows = Settlement.objects.filter(account=settlement.account_id, currency=settlement.currency)
    if settlement.period_end is None:
        return {}
    return {
        "before": rows.filter(period_end__lt=settlement.period_end).order_by("-period_end").first(),
        "after": rows.filter(period_end__gt=settlement.period_end).order_by("period_end").first(),
    }


def _title(state: str, cause: str) -> Any:
    if state == LineState.AWAITING and not cause:
        return _("Awaiting: order not in yet")
    if state in (LineState.RECONCILED, LineState.TOLERATED, LineState.NEW) and not cause:
        return STATES[state]
    return CAUSES.get(cause, cause)


def _cause_title(row: CauseRow) -> Any:
    return _title(row.state, row.cause)


def _cause_url(request: HttpRequest, row: CauseRow) -> str:
    return f"{_home(request)}?{_query(request, state=row.state, cause=row.cause, kind=row.kind, line=None, page=None)}"


def _is_current(row: CauseRow, chosen: Chosen) -> bool:
    return (row.state, row.cause) == (chosen.state, chosen.cause) and chosen.kind in ("", row.kind)


def _query(request: HttpRequest, **changes: str | None) -> str:
    return with_query(request, **changes).partition("?")[2]


def _rows(request: HttpRequest, lines: list[SettlementLine]) -> list[Row]:
    """The lines of a page with their verdicts; one query for all of them."""
    verdicts: Mapping[tuple[int, str, str], LineReconciliation] = (
        reconciliation.judged(SettlementLine.objects.filter(pk__in=[line.pk for line in lines])) if lines else {}
    )
    found = []
    for line in lines:
        verdict = verdicts.get((line.order_line_id or 0, line.event, line.kind))
        found.append(
            Row(
                line=line,
                expected=verdict.expected if verdict else None,
                paid=line.amount,
                difference=verdict.difference if verdict else None,
                url=f"{_home(request)}?{_query(request, line=str(line.pk))}#line",
            )
        )
    return found


def _line(request: HttpRequest, settlement: Settlement, rows: list[Row]) -> SettlementLine | None:
    """The line the address names, wherever it stands in the settlement, else the first of those shown."""
    named = request.GET.get("line", "")
    if named.isascii() and named.isdigit() and len(named) < 19:
        lines = reconciliation.current_lines(settlement).select_related(
            "order_line__order__site", "order_line__sku__product", "settlement"
        )
        if found := lines.filter(pk=int(named)).first():
            return found
    if not rows:
        return None
    return SettlementLine.objects.select_related(
        "order_line__order__site", "order_line__sku__product", "settlement"
    ).get(pk=rows[0].line.pk)


def _csv(settlement: Settlement, lines: QuerySet[SettlementLine]) -> HttpResponse:
    head = ("row", "as they call it", "event", "kind", "class", "order", "seller sku", "posted at", "amount",
            "without tax", "tax inside", "currency", "state", "cause")  # fmt: skip
    rows = (
        [line.ordinal, line.raw_type, line.event, line.kind, line.money_class, line.order_ref, line.seller_sku,
         line.posted_at, line.amount, line.net_amount, line.tax_amount, line.currency, line.state, line.cause]
        for line in lines.iterator(chunk_size=2000)
    )  # fmt: skip
    return as_csv(f"settlement-{settlement.pk}", head, rows)
