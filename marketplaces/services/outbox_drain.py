"""Sends what waits in the outbox, one account at a time, and finds out what became of calls nobody answered.

A command is never sent again on suspicion: an unknown outcome is looked up at the marketplace, and only what is proved
absent there, or what may be repeated by the marketplace's own word, goes out a second time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.utils.translation import gettext as _

from domventas.core.jobs.outcomes import AWAY
from domventas.core.jobs.runner import Superseded
from marketplaces.commands import COMMAND_OF_PUSH, Outcome, Push, Sent
from marketplaces.errors import Forbidden, Later, Refused, Unauthorized
from marketplaces.models import Account, OutboxAttempt, OutboxCommand, PushFlow
from marketplaces.port import Priority
from marketplaces.selectors import outbox
from marketplaces.services import push_flows, retries, rights, streams
from marketplaces.services.door import connector_of, open_door
from marketplaces.services.outbox_claims import LONGEST_PAUSE, Busy, Held, claim_next, single_flight, take_over
from marketplaces.services.pages import Step

log = logging.getLogger(__name__)
State = OutboxCommand.State

#: No command is sent more often than this, however often it is proved absent; the pauses between grow to half an hour.
MOST_SENDS: Final = 8
FIRST_PAUSE: Final = timedelta(minutes=1)
#: Looks in a row without a trace before a command that must not be repeated counts as absent.
LOOKS: Final = 3
#: No call of ours lives longer (the job's hard limit), so that a late one cannot arrive after its absence was proved.
LONGEST_CALL: Final = timedelta(minutes=6)
#: The shortest pause between two looks, while the marketplace's own readers may lag behind.
BETWEEN_LOOKS: Final = timedelta(seconds=30)


@dataclass(slots=True)
class Drained:
    """What one run did.

    Attributes:
        state: `done`, `busy` (somebody else sends), `off` (account or flow), `waiting` (asked to come back later).
        retry_after: there is something to do again so soon.
    """

    state: str = "done"
    sent: int = 0
    looked: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    given_up: int = 0
    retry_after: timedelta | None = None
    note: str = ""


class _Stop(Exception):
    """No further command of this account now."""

    def __init__(self, after: timedelta | None, note: str) -> None:
        super().__init__(note)
        self.after, self.note = after, note


def drain(
    account: Account,
    verb: str,
    *,
    clock: Callable[[], datetime],
    step: Step = transaction.atomic,
    lasting: timedelta = timedelta(minutes=4),
) -> Drained:
    """Send what waits and look up what is unknown, until nothing is due or the time is over.

    Args:
        clock: the time of day; read before and after every call.
        step: opens the transaction in which an outcome is written; a job puts its own.

    Raises: Superseded: the run itself was taken over. Database errors that another try may heal.
    """
    done = Drained()
    push = connector_of(account).pushes.get(verb)
    if push is None or account.status != Account.Status.ACTIVE:
        done.state = "off"
        return done
    try:
        with single_flight(account, verb):
            take_over(account, verb, now=clock())
            _work(_Sender(account, verb, push, clock, step, done), until=clock() + lasting)
            done.retry_after = outbox.soon_due(account, verb, now=clock())
    except Busy:
        done.state = "busy"
    except _Stop as stop:
        done.state, done.retry_after, done.note = "waiting", stop.after, stop.note
    return done


def _work(sender: _Sender, *, until: datetime) -> None:
    if not outbox.is_due(sender.account, sender.verb, now=sender.clock()):
        return
    sender.open()
    while (now := sender.clock()) < until:
        held = claim_next(sender.account, sender.verb, may_send=_may_send(sender, now), now=now)
        if held is None:
            return
        try:
            sender.call(held)
        except Superseded:
            if not OutboxCommand.objects.filter(pk=held.command.pk).exclude(fence=held.command.fence).exists():
                raise  # the run itself was taken over, not this command


def _may_send(sender: _Sender, now: datetime) -> bool:
    """Whether commands may leave now; what waits while the flow is in shadow is held, a burst stops the flow."""
    flow = push_flows.flow_of(sender.account, sender.verb, now=now)
    mode = push_flows.mode_in_force(flow)
    waiting = OutboxCommand.objects.filter(account=sender.account, verb=sender.verb, state=State.WAITING)
    if mode == PushFlow.Mode.SHADOW:
        told = str(_("In shadow: formed, not sent."))
        waiting.update(state=State.HELD, message=told)
    if mode == PushFlow.Mode.LIVE and (flow.burst_until is None or flow.burst_until <= now):
        count = waiting.count()
        if count > flow.most_at_once:
            why = _("%(count)d commands at once are more than usual: look at them, then go live again.")
            push_flows.set_mode(
                flow, PushFlow.Mode.STOPPED, actor=outbox.BY_ITSELF, now=now, why=str(why) % {"count": count}
            )
            return False
    return mode == PushFlow.Mode.LIVE


@dataclass
class _Sender:
    """One account's way to its marketplace, opened with the first command."""

    account: Account
    verb: str
    push: Push
    clock: Callable[[], datetime]
    step: Step
    done: Drained
    session: Any = None

    def open(self) -> None:
        """Get ready to talk; no call is made yet. Raises: _Stop: nobody has entered the secrets."""
        try:
            self.session = connector_of(self.account).open(
                open_door(self.account, now=self.clock(), priority=Priority.PUSH)
            )
        except Unauthorized as error:
            self._stop_flow(streams.in_words(error))

    def call(self, held: Held) -> None:
        """Send or look, and write down what came of it. Raises: _Stop, Superseded, database errors."""
        try:
            told = COMMAND_OF_PUSH[self.verb](held.command.payload)
            answer = (self.push.send if held.is_send else self.push.read_back)(self.session, told)
        except (Superseded, SoftTimeLimitExceeded, *AWAY):
            raise
        except Exception as error:
            self._failed(held, error)
        else:
            self._answered(held, answer)

    def _answered(self, held: Held, answer: Sent | None) -> None:
        self.done.sent += held.is_send
        self.done.looked += not held.is_send
        if answer is None:
            self._absent(held)
        elif answer.outcome is Outcome.REFUSED:
            self._refused(held, answer.message)
        else:
            self._write(held, State.ACCEPTED, "accepted", answer.message, provider_ref=answer.provider_ref[:120])

    def _failed(self, held: Held, error: Exception) -> None:
        words, kind, now = streams.in_words(error), retries.kind_of(error), self.clock()
        if kind == retries.OWN_FAULT:
            log.exception("%s %s: command %s failed", self.account.code, self.verb, held.command.pk)
        if isinstance(error, Refused) and held.is_send:
            self.done.sent += 1
            self._refused(held, f"{words} {error.excerpt}".strip())
            return
        never_left = held.is_send and isinstance(error, Later | Unauthorized)
        if now > held.command.deadline_at and (never_left or not held.is_send):
            told = _("Never sent: %(words)s") if never_left else _("Nobody could find out if it arrived: %(words)s")
            self._write(held, State.GIVEN_UP, kind, str(told) % {"words": words})
            return
        back, uncounted = (State.WAITING, {"attempts": held.command.attempts - 1}) if held.is_send else (
            State.UNKNOWN, {}
        )  # fmt: skip
        if isinstance(error, Later):
            after = {"next_at": now + error.after, "failures": held.command.failures}
            self._postpone(held, back, kind, error, words, **uncounted, **after)
            raise _Stop(error.after, words)
        if isinstance(error, Forbidden):
            words, at = rights.missing(self.account, self.verb, error), now + retries.RIGHT
            self._postpone(held, back, kind, error, words, **uncounted, next_at=at, failures=held.command.failures)
            waiting = OutboxCommand.objects.filter(account=self.account, verb=self.verb, state=State.WAITING)
            waiting.filter(next_at__lt=at).update(next_at=at, message=words[:500])
            raise _Stop(retries.RIGHT, words)
        if isinstance(error, Unauthorized):
            self._postpone(held, back, kind, error, words, **uncounted)
            self._stop_flow(words)
        self.done.unknown += 1
        self._postpone(held, State.UNKNOWN, kind, error, words)

    def _stop_flow(self, words: str) -> NoReturn:
        now = self.clock()
        flow = push_flows.flow_of(self.account, self.verb, now=now)
        push_flows.set_mode(flow, PushFlow.Mode.STOPPED, actor=outbox.BY_ITSELF, now=now, why=words)
        raise _Stop(None, words)

    def _refused(self, held: Held, message: str) -> None:
        """A refusal is believed at once unless an earlier call may have done it already; then the look decides."""
        sends = OutboxAttempt.objects.filter(command=held.command, kind=OutboxAttempt.Kind.SEND)
        if held.is_send and sends.exclude(pk=held.attempt.pk).exists():
            self._write(held, State.UNKNOWN, "refused", message, next_at=self.clock())
        else:
            self._write(held, State.REFUSED, "refused", message)

    def _absent(self, held: Held) -> None:
        """The marketplace does not have it: not yet, or not at all."""
        command, now = held.command, self.clock()
        absences = command.absences + 1
        sends = OutboxAttempt.objects.filter(command=command, kind=OutboxAttempt.Kind.SEND).order_by("-pk")
        last = sends.first()
        since = now - last.started_at if last is not None else LONGEST_CALL + self.push.settles
        looked_long_enough = absences >= LOOKS and since >= max(self.push.settles, LONGEST_CALL)
        if not self.push.idempotent and not looked_long_enough and last is not None:
            pause = max(BETWEEN_LOOKS, self.push.settles / LOOKS)
            values = {"absences": absences, "next_at": now + pause, "failures": 0}
            self._write(held, State.UNKNOWN, "absent", str(_("Not there yet; looked up again later.")), **values)
            return
        if last is not None and last.outcome == "refused":
            self._write(held, State.REFUSED, "absent", last.message)
        elif command.attempts >= MOST_SENDS or now > command.deadline_at:
            told = _("Sent %(count)d times, and the marketplace never had it.") % {"count": command.attempts}
            self._write(held, State.GIVEN_UP, "absent", str(told))
        elif self._is_replaced(command):
            self._write(held, State.GIVEN_UP, "absent", str(_("A newer command took its place.")))
        else:
            pause = min(FIRST_PAUSE * 4 ** max(0, min(command.attempts - 1, 5)), LONGEST_PAUSE)
            told = _("It did not arrive and is sent again.")
            self._write(held, State.WAITING, "absent", str(told), absences=absences, next_at=now + pause, failures=0)

    def _is_replaced(self, command: OutboxCommand) -> bool:
        waiting = OutboxCommand.objects.filter(account=self.account, verb=self.verb, key=command.key)
        return waiting.filter(state__in=(State.WAITING, State.HELD)).exists()

    def _write(self, held: Held, state: str, outcome: str, message: str, **values: Any) -> None:
        with self.step():
            held.settle(state, outcome=outcome, message=message, now=self.clock(), **values)
        if state in (State.ACCEPTED, State.REFUSED, State.GIVEN_UP):
            name = {State.ACCEPTED: "accepted", State.REFUSED: "refused"}.get(State(state), "given_up")
            setattr(self.done, name, getattr(self.done, name) + 1)

    def _postpone(self, held: Held, state: str, outcome: str, error: Exception, words: str, **values: Any) -> None:
        if state == State.WAITING and self._is_replaced(held.command):
            self._write(held, State.GIVEN_UP, outcome, str(_("A newer command took its place.")))
            return
        with self.step():
            held.postpone(state, outcome=outcome, error=error, words=words, now=self.clock(), **values)
