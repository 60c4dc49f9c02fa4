"""The board: open tickets in lanes by state, what they cost per day, and what was counted instead of shown."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.models import Client
from domventas.core.pages import GetForm, page
from domventas.core.sheets import as_csv
from domventas.core.tenancy import current
from marketplaces.models import Account
from tickets.models import Ticket
from tickets.registry import DETECTORS, type_choices
from tickets.selectors import tickets

LANES = (
    (Ticket.State.OPEN, _("Detected")),
    (Ticket.State.WORKING, _("Being worked on")),
    (Ticket.State.SNOOZED, _("Snoozed")),
)
IN_LANE = 30


class Filters(GetForm):
    """What to see: a type, an account, an owner, a severity."""

    type = forms.ChoiceField(label=_("type"), required=False)
    account = forms.ChoiceField(label=_("account"), required=False)
    owner = forms.ChoiceField(
        label=_("owner"), required=False, choices=[("", _("everyone")), ("me", _("me")), ("none", _("nobody"))]
    )
    severity = forms.ChoiceField(
        label=_("severity"), required=False, choices=[("", _("all")), *((s, s) for s in Ticket.Severity.values)]
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["type"].choices = [("", _("all")), *type_choices()]  # type: ignore[attr-defined]  # a ChoiceField
        rows = Account.objects.values_list("code", "name")
        self.fields["account"].choices = [("", _("all")), *rows]  # type: ignore[attr-defined]  # a ChoiceField


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One column of the board."""

    title: Any
    rows: list[Ticket]
    count: int
    impact: Decimal
    rest: int
    rest_impact: Decimal


@require_GET
@permission_required("tickets.view_ticket", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the board, or its rows as CSV."""
    filters = Filters(request.GET)
    rows = list(_chosen(request, filters.values))
    if request.GET.get("format") == "csv":
        return _csv(rows)
    lanes = [_lane(title, [row for row in rows if row.state == state]) for state, title in LANES]
    context = {
        "title": _("Tickets"),
        "lanes": lanes,
        "count": len(rows),
        "impact": sum((lane.impact for lane in lanes), Decimal(0)),
        "base_currency": Client.objects.get(pk=current().one).base_currency,
        "labels": {name: detector.label for name, detector in DETECTORS.items()},
        "positions": list(tickets.positions()),
        "counted": tickets.counted(),
        "filters": filters.strip(request, csv=True),
    }
    return page(request, "tickets/board.html", context)


def _chosen(request: HttpRequest, values: dict[str, Any]) -> Any:
    rows = tickets.queue()
    if values["type"]:
        rows = rows.filter(type=values["type"])
    if values["account"]:
        rows = rows.filter(account__code=values["account"])
    if values["severity"]:
        rows = rows.filter(severity=values["severity"])
    if values["owner"] == "me":
        rows = rows.filter(assignee_id=request.user.pk)
    if values["owner"] == "none":
        rows = rows.filter(assignee=None)
    return rows


def _lane(title: Any, rows: list[Ticket]) -> Lane:
    dear = sorted(rows, key=lambda row: (row.severity, -(row.impact_day or Decimal(0)), row.number))
    shown, rest = dear[:IN_LANE], dear[IN_LANE:]
    return Lane(
        title=title, rows=shown, count=len(rows), impact=_sum(rows), rest=len(rest), rest_impact=_sum(rest)
    )  # fmt: skip


def _sum(rows: list[Ticket]) -> Decimal:
    return sum((row.impact_day or Decimal(0) for row in rows), Decimal(0))


def _csv(rows: list[Ticket]) -> HttpResponse:
    head = ("number", "type", "severity", "state", "account", "title", "findings", "impact_day", "currency")
    return as_csv("tickets", head, (
        (row.number, row.type, row.severity, row.state, row.account.code if row.account else "", row.title,
         row.finding_count, row.impact_day, row.base_currency)
        for row in rows
    ))  # fmt: skip
