"""Who sends a command just now: one sender per account and kind, and a fence that keeps the dead from writing.

A claim is committed with its log row before the call is made, so that whatever happens afterwards somebody can see that
a call may have been made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError
from domventas.core.jobs.runner import Superseded
from marketplaces.errors import BorderError
from marketplaces.models import Account, OutboxAttempt, OutboxCommand
from marketplaces.services.locks import try_lock, unlock
from marketplaces.signals import push_settled

State = OutboxCommand.State
Kind = OutboxAttempt.Kind

#: First look after a call whose outcome is unknown; each further one waits twice as long.
FIRST_LOOK: Final = timedelta(seconds=15)
LONGEST_PAUSE: Final = timedelta(minutes=30)

NEXT = """
UPDATE marketplaces_outboxcommand c SET fence = fence + 1,
    state = CASE WHEN state = 'waiting' THEN 'in_flight' ELSE state END,
    attempts = attempts + (state = 'waiting')::int,
    absences = CASE WHEN state = 'waiting' THEN 0 ELSE absences END,
    sent_at = CASE WHEN state = 'waiting' THEN %(now)s ELSE sent_at END
WHERE c.id = (
    SELECT o.id FROM marketplaces_outboxcommand o
    WHERE o.client_id = %(client)s AND o.account_id = %(account)s AND o.verb = %(verb)s AND o.next_at <= %(now)s
      AND o.state = ANY(%(states)s) AND o.state IN ('waiting', 'in_flight', 'unknown')
      AND NOT EXISTS (
        SELECT 1 FROM marketplaces_outboxcommand b
        WHERE b.client_id = o.client_id AND b.account_id = o.account_id AND b.verb = o.verb
          AND b.order_key = o.order_key AND b.id < o.id AND b.state IN ('waiting', 'in_flight', 'unknown'))
    ORDER BY o.id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING c.id
"""


class Busy(DomventasError):
    """Somebody else sends for this account just now."""

    message = "Somebody sends these already."


@dataclass(slots=True)
class Held:
    """The right to make one call for a command and to write what came of it."""

    command: OutboxCommand
    attempt: OutboxAttempt

    @property
    def is_send(self) -> bool:
        """Whether the call sends; else it only looks."""
        return self.attempt.kind == Kind.SEND

    def settle(self, state: str, *, outcome: str, now: datetime, message: str = "", **values: Any) -> None:
        """Write what came of the call, in the caller's transaction; final states are told to the apps above.

        Raises: Superseded: somebody else has taken the command since.
        """
        is_final = state in (State.ACCEPTED, State.REFUSED, State.GIVEN_UP)
        fresh = {"state": state, "message": message[:500], "settled_at": now if is_final else None, **values}
        mine = OutboxCommand.objects.filter(pk=self.command.pk, fence=self.command.fence)
        if not mine.update(**fresh):
            raise Superseded(f"command {self.command.pk}")
        for name, value in fresh.items():
            setattr(self.command, name, value)
        end(self.attempt, outcome=outcome, message=message, now=now)
        if is_final:
            push_settled.send(sender=OutboxCommand, command=self.command, now=now)

    def postpone(self, state: str, *, outcome: str, error: Exception, words: str, now: datetime, **values: Any) -> None:
        """Nothing is settled: try or look again after a pause that grows. Raises: Superseded."""
        pause = min(FIRST_LOOK * 2 ** min(self.command.failures, 10), LONGEST_PAUSE)
        self.attempt.request_id = error.request_id if isinstance(error, BorderError) else ""
        fresh = {"next_at": now + pause, "failures": self.command.failures + 1, **values}
        self.settle(state, outcome=outcome, now=now, message=words, **fresh)


@contextmanager
def single_flight(account: Account, verb: str) -> Iterator[None]:
    """Be the only one who sends these for the account. Raises: Busy."""
    key = f"outbox:{account.client_id}:{account.pk}:{verb}"
    if not try_lock(key):
        raise Busy(detail=key)
    try:
        yield
    finally:
        unlock(key)


def take_over(account: Account, verb: str, *, now: datetime) -> int:
    """Commands whose sender is gone may have arrived or not: they are unknown. Only for the single flight's holder."""
    in_flight = OutboxCommand.objects.filter(account=account, verb=verb, state=State.IN_FLIGHT)
    with transaction.atomic():
        left = list(in_flight.select_for_update(of=("self",)))
        for command in left:
            told = str(_("The sending was cut off; it may have arrived."))
            attempt = OutboxAttempt.objects.filter(command=command, fence=command.fence).first()
            if attempt is not None:
                end(attempt, outcome="unknown", message=told, now=now)
            command.state, command.message = State.UNKNOWN, told
            command.fence, command.next_at = command.fence + 1, now
            command.save(update_fields=["state", "message", "fence", "next_at"])
    return len(left)


def claim_next(account: Account, verb: str, *, may_send: bool, now: datetime) -> Held | None:
    """The next command whose turn it is, claimed and logged; the commit is done when this returns.

    Raises: RuntimeError: called inside a transaction, where nobody else could see the claim.
    """
    if connection.in_atomic_block:
        raise RuntimeError("a command is claimed outside of transactions")
    states = [State.UNKNOWN.value, State.WAITING.value] if may_send else [State.UNKNOWN.value]
    known = {"client": account.client_id, "account": account.pk, "verb": verb, "now": now, "states": states}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(NEXT, known)
        row = cursor.fetchone()
        if row is None:
            return None
        command = OutboxCommand.objects.select_related("account").get(pk=row[0])
        kind = Kind.SEND if command.state == State.IN_FLIGHT else Kind.LOOK
        attempt = OutboxAttempt.objects.create(command=command, fence=command.fence, kind=kind, started_at=now)
    return Held(command, attempt)


def end(attempt: OutboxAttempt, *, outcome: str, message: str, now: datetime) -> None:
    """Complete the log row of a call."""
    attempt.ended_at, attempt.outcome, attempt.message = now, outcome, message[:500]
    attempt.save(update_fields=["ended_at", "outcome", "message", "request_id"])
