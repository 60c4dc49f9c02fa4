"""Open tickets as people work them: by clock, then by money."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Case, Count, F, IntegerField, QuerySet, Sum, Value, When

from tickets.models import Finding, StartingPosition, Ticket, TicketGroup

SHOWN = 15
"""Rows of the *do now* list; the rest is counted in one row."""


def living() -> QuerySet[Ticket]:
    """Tickets that are not closed, with account and owner."""
    return Ticket.objects.exclude(state=Ticket.State.RESOLVED).select_related("account", "assignee", "group")


def queue() -> QuerySet[Ticket]:
    """Open tickets by clock, severity and money; snoozed ones last."""
    resting = Case(When(state=Ticket.State.SNOOZED, then=Value(1)), default=Value(0), output_field=IntegerField())
    return (
        living()
        .alias(resting=resting)
        .order_by(
            "resting",
            F("deadline_at").asc(nulls_last=True),
            "severity",
            F("impact_day").desc(nulls_last=True),
            "number",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DoNow:
    """The list people start with, and what it leaves out, counted."""

    rows: list[Ticket]
    rest_count: int
    rest_impact: Decimal
    shown_impact: Decimal


def do_now(*, owner_id: int | None = None) -> DoNow:
    """At most fifteen tickets, by deadline then money; the rest as a count and its contribution per day."""
    waiting = queue().exclude(state=Ticket.State.SNOOZED)
    if owner_id is not None:
        waiting = waiting.filter(assignee_id=owner_id)
    rows = list(waiting[:SHOWN])
    total = waiting.aggregate(count=Count("pk"), impact=Sum("impact_day"))
    counted = TicketGroup.objects.aggregate(count=Sum("overflow_count"), impact=Sum("overflow_impact_day"))
    shown = sum((row.impact_day or Decimal(0) for row in rows), Decimal(0))
    return DoNow(
        rows=rows,
        rest_count=(total["count"] or 0) - len(rows) + (counted["count"] or 0),
        rest_impact=(total["impact"] or Decimal(0)) - shown + (counted["impact"] or Decimal(0)),
        shown_impact=shown,
    )


def findings_of(ticket: Ticket) -> QuerySet[Finding]:
    """What a ticket is made of, the dearest first."""
    return ticket.findings.exclude(state=Finding.State.GONE).order_by(
        F("impact_day").desc(nulls_last=True), "fingerprint"
    )


def positions() -> QuerySet[StartingPosition]:
    """Starting positions nobody has accepted yet."""
    return StartingPosition.objects.filter(accepted_at=None).select_related("account").order_by("type")


def counted() -> list[TicketGroup]:
    """Groups with tickets that were only counted, the dearest first."""
    return list(TicketGroup.objects.filter(overflow_count__gt=0).order_by("-overflow_impact_day", "key"))
