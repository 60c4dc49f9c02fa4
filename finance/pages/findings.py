"""Findings about money, alike in one list: what each is, where it was booked, and one decision for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from domventas.core.pages import GetForm, page
from finance.models import Discrepancy
from finance.pages.decisions import DECIDE, FILTER, DecideForm, picked
from finance.pages.decisions import decide as carry_out
from finance.pages.proposal import of_group
from finance.pages.steps import steps
from finance.pages.tables import as_csv, wants_csv
from finance.pages.words import CAUSES, place
from finance.selectors import workbench
from marketplaces.models import Account

PER_PAGE: Final = 50
STATES: Final = [pair for pair in Discrepancy.State.choices if pair[0] != Discrepancy.State.GONE]


class Filters(GetForm):
    """Which findings: of an account, in a currency, of a cause, of one group, decided or not."""

    account = forms.ChoiceField(label=_("account"), required=False)
    currency = forms.CharField(label=_("currency"), required=False, max_length=3)
    cause = forms.ChoiceField(label=_("cause"), required=False, choices=[("", _("all")), *Discrepancy.Cause.choices])
    state = forms.ChoiceField(label=_("state"), required=False, choices=STATES, initial=Discrepancy.State.OPEN.value)
    group = forms.CharField(label=_("group"), required=False, max_length=160)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Account.objects.order_by("name").values_list("code", "name")
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField


@require_GET
@permission_required("finance.view_discrepancy", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the findings, fifty at a time, or all as CSV."""
    filters = Filters(request.GET)
    rows = _chosen(filters)
    if wants_csv(request):
        return _csv(rows.iterator(chunk_size=2000))
    return _draw(request, filters, workbench.seen(rows))


@require_POST
@permission_required(DECIDE, raise_exception=True)
def decide(request: HttpRequest) -> HttpResponse:
    """Accept, claim or reopen what is ticked, or all of the filter in the address if it is still what was seen."""
    filters = Filters(request.GET)
    chosen = _chosen(filters)
    form = DecideForm(request.POST)
    if request.POST.get("scope") != FILTER:
        chosen = chosen.filter(pk__in=picked(request))
    _done, there = carry_out(request, chosen, form, now=clock())
    if there is not None:
        return _draw(request, filters, there, status=409)
    return redirect(f"{_page(request)}?{request.GET.urlencode()}")


def _page(request: HttpRequest) -> str:
    return request.path.removesuffix("decide/")


def _chosen(filters: Filters) -> Any:
    values = filters.values
    return workbench.findings(**{name: value or "" for name, value in values.items()})


def _draw(request: HttpRequest, filters: Filters, seen: workbench.Seen, status: int = 200) -> HttpResponse:
    rows = _chosen(filters)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    values = filters.values
    first = shown.object_list[0] if seen.count else None
    is_alike = values["group"] or values["cause"]
    context = {
        "title": CAUSES.get(first.cause, first.cause) if first and is_alike else _("Findings"),
        "what": place(values["group"], first.site) if first and values["group"] else "",
        "rows": [(row, CAUSES.get(row.cause, row.cause)) for row in shown],
        **of_group(request, values["group"] or ""),
        "seen": seen,
        "sums": sorted(seen.sums.items()),
        "steps": steps(request, shown),
        "may_decide": request.user.has_perm(DECIDE),
        "is_open": (values["state"] or "open") == Discrepancy.State.OPEN,
        "query": request.GET.urlencode(),
        "filters": filters.strip(request, csv=True),
    }
    return page(request, "finance/findings.html", context, status=status)


def _csv(rows: Iterable[Discrepancy]) -> HttpResponse:
    head = ("account", "cause", "kind", "event", "site", "order", "line", "seller sku", "settlement",
            "expected", "paid", "difference", "currency", "happened on", "state", "accepted until", "decided by",
            "note")  # fmt: skip
    lines = (
        [row.account.code, row.cause, row.kind, row.event, row.site, row.order_ref, row.line_ref, row.seller_sku,
         row.settlement.settlement_ref if row.settlement else "", row.expected, row.actual, row.amount, row.currency,
         row.happened_on, row.state, row.accepted_until, row.decided_by, row.note]
        for row in rows
    )  # fmt: skip
    return as_csv("findings", head, lines)
