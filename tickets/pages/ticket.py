"""One ticket: what is wrong, what it costs, why, what to do, and who did what."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.timezone import localdate
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from domventas.core import runbooks
from domventas.core.errors import DomventasError
from domventas.core.models import Client, User
from domventas.core.pages import page
from domventas.core.tenancy import current
from tickets.models import Finding, Ticket, TicketEvent
from tickets.pages.places import place_of
from tickets.registry import DETECTORS
from tickets.selectors import tickets
from tickets.services import workflow
from tickets.services.gather import DETECTOR

PER_PAGE = 50
#: How the history tells a step.
STEPS: Final[dict[str, Any]] = {
    "opened": _("opened"), "resolved": _("closed"), "reopened": _("opened again"), "snoozed": _("snoozed until"),
    "woken": _("woken"), "assigned": _("given to"),
}  # fmt: skip


class MoveForm(forms.Form):
    """A step somebody takes with a ticket."""

    step = forms.ChoiceField(
        choices=[("take", ""), ("drop", ""), ("snooze", ""), ("resolve", ""), ("reopen", "")], label=_("step")
    )
    how = forms.ChoiceField(choices=[("", ""), *Ticket.Resolution.choices], required=False, label=_("how it ended"))
    until = forms.DateField(required=False, label=_("until"))
    reason = forms.CharField(required=False, max_length=300, label=_("why"))


@require_GET
@permission_required("tickets.view_ticket", raise_exception=True)
def show(request: HttpRequest, number: int) -> HttpResponse:
    """Draw the ticket with its findings, fifty at a time."""
    ticket = get_object_or_404(Ticket.objects.select_related("account", "assignee", "group"), number=number)
    findings = Paginator(tickets.findings_of(ticket), PER_PAGE).get_page(request.GET.get("page"))
    detector = DETECTORS.get(ticket.type)
    for finding in findings:
        finding.place = place_of(finding.refs, request.user.has_perm)  # type: ignore[attr-defined]  # for this page only
        finding.runbook = _runbook(request, finding)  # type: ignore[attr-defined]  # likewise
    context = {
        "title": ticket.title,
        "ticket": ticket,
        "label": detector.label if detector else ticket.type,
        "findings": findings,
        "events": [(event, STEPS.get(event.what, event.what), _actor(event)) for event in _history(ticket)],
        "resolutions": [pair for pair in Ticket.Resolution.choices if pair[0] != Ticket.Resolution.GONE],
        "is_open": ticket.state != Ticket.State.RESOLVED,
        "may_change": request.user.has_perm("tickets.change_ticket"),
        "default_until": localdate(clock() + timedelta(days=7)).isoformat(),
    }
    return page(request, "tickets/ticket.html", context)


def _runbook(request: HttpRequest, finding: Finding) -> str:
    """Where the runbook of its type tells of such a finding; "" where there is none or it may not be read."""
    if finding.type not in runbooks.names() or not request.user.has_perm("marketplaces.view_stream"):
        return ""
    said = runbooks.anchor(finding.title.rpartition(": ")[2])
    return f"{reverse('marketplaces:runbook', args=[finding.type])}{f'#{said}' if said else ''}"


def _history(ticket: Ticket) -> QuerySet[TicketEvent]:
    return ticket.events.order_by("-at", "-pk")[:PER_PAGE]


def _actor(event: TicketEvent) -> Any:
    return _("the detector") if event.actor == DETECTOR else event.actor


@require_POST
@permission_required("tickets.change_ticket", raise_exception=True)
def move(request: HttpRequest, number: int) -> HttpResponse:
    """Take, drop, snooze, resolve or reopen; says what was refused and why."""
    ticket = get_object_or_404(Ticket, number=number)
    form = MoveForm(request.POST)
    if not form.is_valid():
        messages.error(request, "; ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("tickets:ticket", number=number)
    try:
        _step(ticket, form.cleaned_data, request.user, clock())
    except DomventasError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Done."))
    return redirect("tickets:ticket", number=number)


def _step(ticket: Ticket, values: dict[str, Any], user: Any, now: datetime) -> None:
    assert isinstance(user, User)  # noqa: S101 (the permission check let only people in)
    actor, reason = user.email, values["reason"]
    match values["step"]:
        case "take":
            workflow.assign(ticket, to=user, actor=actor, now=now)
        case "drop":
            workflow.assign(ticket, to=None, actor=actor, now=now)
        case "snooze":
            if values["until"] is None:
                raise workflow.NotAllowed(str(_("Say until when.")))
            zone = ZoneInfo(Client.objects.get(pk=current().one).zone)
            until = datetime.combine(values["until"], time(7), tzinfo=zone)
            workflow.snooze(ticket, until=until, reason=reason, actor=actor, now=now)
        case "resolve":
            workflow.resolve(ticket, how=values["how"], reason=reason, actor=actor, now=now)
        case "reopen":
            workflow.reopen(ticket, reason=reason, actor=actor, now=now)
