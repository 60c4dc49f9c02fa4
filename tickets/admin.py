"""Admin of tickets: lists to search and follow; the work itself happens on the ticket's page."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.admin import FactsAdmin, FactsInline
from tickets.models import DetectorRun, Finding, StartingPosition, Ticket, TicketEvent, TicketGroup
from tickets.services import workflow


class EventInline(FactsInline):
    """What was done with the ticket."""

    model = TicketEvent
    fields = readonly_fields = ("at", "what", "detail", "actor")


@admin.register(Ticket)
class TicketAdmin(FactsAdmin):
    """Tickets; opened by detectors, moved on their own page."""

    list_display = (
        "page_link",
        "type",
        "severity",
        "state",
        "account",
        "finding_count",
        "impact_day",
        "assignee",
        "opened_at",
    )
    list_display_links = ("type",)
    list_filter = ("state", "severity", "type", "account")
    search_fields = ("title", "number", "cause")
    list_select_related = ("account", "assignee")
    inlines = (EventInline,)

    @admin.display(description=_("ticket"), ordering="number")
    def page_link(self, ticket: Ticket) -> str:
        """Link to the ticket's page."""
        return format_html(
            '<a href="{}">T-{} {}</a>', reverse("tickets:ticket", args=[ticket.number]), ticket.number, ticket.title
        )


@admin.register(Finding)
class FindingAdmin(FactsAdmin):
    """What the detectors see."""

    list_display = ("title", "type", "state", "level", "account", "amount", "currency", "impact_day", "last_seen_at")
    list_filter = ("state", "type", "account")
    search_fields = ("title", "fingerprint")
    list_select_related = ("account",)


@admin.register(StartingPosition)
class StartingPositionAdmin(FactsAdmin):
    """What the first run found; accept it, or turn the worst into work."""

    list_display = ("type", "account", "count", "amounts", "taken_at", "accepted_at", "accepted_by")
    list_filter = ("type", "account")
    list_select_related = ("account",)
    actions = ("accept", "pick_worst")

    @admin.action(description=_("Accept as the starting position"), permissions=["decide"])
    def accept(self, request: HttpRequest, queryset: QuerySet[StartingPosition]) -> None:
        """Accept the chosen positions."""
        chosen = list(queryset)
        for position in chosen:
            workflow.accept_position(position, actor=request.user.get_username(), now=clock())
        messages.success(
            request, ngettext("%(n)d position accepted.", "%(n)d positions accepted.", len(chosen)) % {"n": len(chosen)}
        )

    @admin.action(description=_("Turn the ten worst findings into work"), permissions=["decide"])
    def pick_worst(self, request: HttpRequest, queryset: QuerySet[StartingPosition]) -> None:
        """Open the ten dearest findings of each chosen position with the next run."""
        picked = sum(
            workflow.pick_from_position(position, worst=10, actor=request.user.get_username(), now=clock())
            for position in list(queryset)
        )
        messages.success(request, _("%(n)d findings get tickets with the next run.") % {"n": picked})

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Those who may change tickets decide where the work starts."""
        return request.user.has_perm("tickets.change_ticket")


@admin.register(DetectorRun)
class DetectorRunAdmin(FactsAdmin):
    """How the detectors ran."""

    list_display = ("type", "started_at", "found", "opened", "updated", "resolved", "suppressed", "stale")
    list_filter = ("type",)


@admin.register(TicketGroup)
class TicketGroupAdmin(FactsAdmin):
    """Tickets of one kind, with what exceeded the cap."""

    list_display = ("title", "type", "key", "overflow_count", "overflow_impact_day")


@admin.register(TicketEvent)
class TicketEventAdmin(FactsAdmin):
    """Steps in the lives of tickets."""

    list_display = ("ticket", "what", "detail", "actor", "at")
    list_select_related = ("ticket",)
