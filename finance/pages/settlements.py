"""The settlements of all accounts: header, the four states that add up to it, and how much of it is proved."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.pages import GetForm, page
from finance.models import Settlement
from finance.models.settlements import LineState
from finance.pages.steps import steps
from finance.pages.tables import as_csv, wants_csv
from finance.selectors import workbench
from marketplaces.models import Account

PER_PAGE: Final = 50
#: The four states of a line in the order people read them; what is not judged yet stands with what waits.
FOUR: Final = (LineState.RECONCILED, LineState.TOLERATED, LineState.AWAITING, LineState.DISCREPANCY)
STATES: Final = (("", _("any")), *LineState.choices, (workbench.AWAITING_ORDER, _("awaiting order")))
#: What became of a statement's money.
TRANSFERS: Final = (
    ("", _("any")),
    ("open", _("to come")),
    ("below", _("none: below zero")),
    ("ahead", _("made before its lines came")),
)


class Filters(GetForm):
    """Whose settlements, in which status, with lines in which state, and what became of the money."""

    account = forms.ChoiceField(label=_("account"), required=False)
    currency = forms.CharField(label=_("currency"), required=False, max_length=3)
    status = forms.ChoiceField(
        label=_("status"), required=False, choices=[("", _("all")), *Settlement.Status.choices]
    )  # fmt: skip
    state = forms.ChoiceField(label=_("holds lines"), required=False, choices=STATES)
    transfer = forms.ChoiceField(label=_("transfer"), required=False, choices=TRANSFERS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = Account.objects.order_by("name").values_list("code", "name")
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField


@require_GET
@permission_required("finance.view_settlement", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the list, fifty at a time, or all as CSV."""
    filters = Filters(request.GET)
    values = {name: value or "" for name, value in filters.values.items()}
    rows = workbench.settlements(**{**values, "currency": values["currency"].upper()})
    if wants_csv(request):
        return _csv(rows)
    shown = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    listed = list(shown)
    states = workbench.states_of_each(listed)
    context = {
        "title": _("Settlements"),
        "rows": [(row, *_four(states.get(row.pk))) for row in listed],
        "steps": steps(request, shown),
        "filters": filters.strip(request, csv=True),
    }
    return page(request, "finance/settlements.html", context)


def _four(states: workbench.States | None) -> tuple[list[tuple[str, Any]], Any]:
    """The four sums with their states, and the proved share; None where no line is."""
    if states is None:
        return [(state.value, None) for state in FOUR], None
    sums = dict(states.sums)
    sums[LineState.AWAITING] = sums.get(LineState.AWAITING, workbench.NOTHING) + sums.pop(
        LineState.NEW, workbench.NOTHING
    )
    return [(state.value, sums.get(state, workbench.NOTHING)) for state in FOUR], states.share


def _csv(rows: Iterable[Settlement]) -> HttpResponse:
    head = ("account", "settlement", "revision", "from", "to", "paid on", "currency", "header", *FOUR, "difference",
            "lines", "status", "proved share by value")  # fmt: skip

    def lines() -> Iterable[list[object]]:
        for part in _parts(rows):
            states = workbench.states_of_each(part)
            for row in part:
                four, share = _four(states.get(row.pk))
                yield [row.account.code, row.settlement_ref, row.revision, row.period_start, row.period_end,
                       row.paid_on, row.currency, row.header_total, *(amount for _state, amount in four),
                       row.difference, row.line_count, row.status, share]  # fmt: skip

    return as_csv("settlements", head, lines())


def _parts(rows: Iterable[Settlement]) -> Iterable[list[Settlement]]:
    """The settlements by the thousand, so that their states are asked for together."""
    part: list[Settlement] = []
    for row in rows:
        part.append(row)
        if len(part) == 1000:
            yield part
            part = []
    if part:
        yield part
