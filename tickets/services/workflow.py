"""What people do with tickets: take, snooze, resolve, reopen; every step is an event with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError
from domventas.core.models import User
from tickets.models import Finding, StartingPosition, Ticket, TicketEvent


class NotAllowed(DomventasError):
    """The step does not fit the ticket's state, or its reason is missing."""


@transaction.atomic
def assign(ticket: Ticket, *, to: User | None, actor: str, now: datetime) -> None:
    """Give the ticket an owner, who works on it, or take it away with `to=None`: then nobody does."""
    _lock(ticket)
    ticket.assignee = to
    if ticket.state == Ticket.State.OPEN and to is not None:
        ticket.state = Ticket.State.WORKING
    elif ticket.state == Ticket.State.WORKING and to is None:
        ticket.state = Ticket.State.OPEN
    _write(ticket, "assigned", to.email if to else _("nobody"), actor, now)


@transaction.atomic
def snooze(ticket: Ticket, *, until: datetime, reason: str, actor: str, now: datetime) -> None:
    """Let it rest until a moment. Raises: NotAllowed when that is past or the ticket is closed."""
    _lock(ticket)
    if until <= now:
        raise NotAllowed(_("Choose a date in the future."))
    if ticket.state == Ticket.State.RESOLVED:
        raise NotAllowed(_("This ticket is closed already."))
    ticket.state, ticket.snoozed_until = Ticket.State.SNOOZED, until
    _write(ticket, "snoozed", f"{localtime(until):%Y-%m-%d} {reason}", actor, now)


@transaction.atomic
def resolve(ticket: Ticket, *, how: str, reason: str, actor: str, now: datetime) -> None:
    """Close it with a reason. Raises: NotAllowed for an unknown resolution or a ticket that is closed."""
    _lock(ticket)
    if how not in Ticket.Resolution.values or how == Ticket.Resolution.GONE:
        raise NotAllowed(_("Say how it ended: fixed, money recovered, accepted, or wrong alarm."))
    if ticket.state == Ticket.State.RESOLVED:
        raise NotAllowed(_("This ticket is closed already."))
    ticket.state, ticket.resolution, ticket.resolved_at = Ticket.State.RESOLVED, how, now
    _write(ticket, "resolved", f"{Ticket.Resolution(how).label}: {reason}", actor, now)


@transaction.atomic
def reopen(ticket: Ticket, *, reason: str, actor: str, now: datetime) -> None:
    """Open it again. Raises: NotAllowed when it is open, or a newer one of the same thing is."""
    _lock(ticket)
    if ticket.state not in (Ticket.State.RESOLVED, Ticket.State.SNOOZED):
        raise NotAllowed(_("This ticket is open already."))
    alike = Ticket.objects.filter(type=ticket.type, fingerprint=ticket.fingerprint).exclude(pk=ticket.pk)
    if newer := alike.exclude(state=Ticket.State.RESOLVED).first():
        raise NotAllowed(_("Ticket #%(number)s about the same is open.") % {"number": newer.number})
    ticket.state, ticket.resolution, ticket.resolved_at, ticket.snoozed_until = Ticket.State.OPEN, "", None, None
    _write(ticket, "reopened", reason, actor, now)


@transaction.atomic
def accept_position(position: StartingPosition, *, actor: str, now: datetime) -> None:
    """The owner has seen what the first run found and starts from there."""
    position.accepted_at, position.accepted_by = now, actor
    position.save(update_fields=["accepted_at", "accepted_by"])


@transaction.atomic
def pick_from_position(position: StartingPosition, *, worst: int, actor: str, now: datetime) -> int:
    """Turn the `worst` findings of a starting position into work from the next run on; returns how many."""
    starting = Finding.objects.filter(
        type=position.type, account_id=position.account_id, state=Finding.State.STARTING
    ).order_by(F("impact_day").desc(nulls_last=True), "fingerprint")
    chosen = list(starting.values_list("pk", flat=True)[:worst])
    picked = Finding.objects.filter(pk__in=chosen).update(state=Finding.State.OPEN)
    accept_position(position, actor=actor, now=now)
    return picked


def history(tickets: Iterable[Ticket]) -> dict[int, list[TicketEvent]]:
    """The events of some tickets, newest first, in one query."""
    rows: dict[int, list[TicketEvent]] = {ticket.pk: [] for ticket in tickets}
    for event in TicketEvent.objects.filter(ticket_id__in=rows).order_by("-at", "-pk"):
        rows[event.ticket_id].append(event)
    return rows


def _lock(ticket: Ticket) -> None:
    Ticket.objects.select_for_update().only("pk").get(pk=ticket.pk)
    ticket.refresh_from_db()


def _write(ticket: Ticket, what: str, detail: str, actor: str, now: datetime) -> None:
    ticket.changed_at = now
    ticket.save()
    TicketEvent.objects.create(ticket=ticket, what=what, detail=detail[:500], actor=actor, at=now)
