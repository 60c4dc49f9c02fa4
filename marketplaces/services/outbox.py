"""The outbox: what a marketplace has to be told is written down with the fact it tells of, and sent afterwards.

A command is written in the caller's transaction, so there is never a fact without its command or the reverse. Nothing
here talks to a marketplace; `services.outbox_drain` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import Conflict, Refused
from domventas.core.jobs import declare, firing
from domventas.core.models import TaskRun
from marketplaces.commands import ShipmentCommand, packed
from marketplaces.models import Account, OutboxCommand, PushFlow
from marketplaces.services import push_flows
from marketplaces.signals import push_settled

State = OutboxCommand.State

#: After this nobody tries any longer; people decide.
DEADLINE: Final = timedelta(days=3)


def put(
    account: Account,
    verb: str,
    key: str,
    command: ShipmentCommand,
    *,
    subject: str,
    now: datetime,
    order_key: str = "",
) -> OutboxCommand:
    """Write a command into the caller's transaction; after the commit it is sent as soon as its turn comes.

    Args:
        key: what it is about. A command of the same key that still waits is replaced, never sent twice.
        subject: what people call it; no personal data.
        order_key: commands of one order key leave one after the other; by default each key stands by itself.

    Returns: the command, waiting, or held where the flow is in shadow.
    Raises: Refused: the marketplace takes no such commands.
    """
    flow = push_flows.flow_of(account, verb, now=now)
    held = push_flows.mode_in_force(flow) == PushFlow.Mode.SHADOW
    values: dict[str, Any] = {
        "order_key": order_key or key,
        "subject": subject[:200],
        "payload": packed(command),
        "state": State.HELD if held else State.WAITING,
        "message": str(_("In shadow: formed, not sent.")) if held else "",
        "created_at": now,
        "created_by": tenancy.current().actor[:254],
        "next_at": now,
        "deadline_at": now + DEADLINE,
    }
    with transaction.atomic():
        written = _coalesce(account, verb, key, values)
        if not held:
            transaction.on_commit(partial(wake, account, verb, now=now))
    return written


def wake(account: Account, verb: str, *, now: datetime) -> None:
    """Ask for a sending run, unless one that has not begun is on its way already."""
    row = f"{verb}.push.{account.channel}"
    coming = TaskRun.objects.filter(task=row, account_id=account.pk, state=TaskRun.State.QUEUED, attempt=0)
    if row not in declare.rows() or coming.exists():
        return
    try:
        with transaction.atomic():
            firing.enqueue(row, account_id=account.pk, now=now)
    except IntegrityError:
        return  # one of this very moment has begun already; what it misses the timetable brings


def try_now(flow: PushFlow, *, now: datetime) -> int:
    """Send what waits now instead of at its hour, for example when a missing right was granted; returns how many.

    Raises: Refused: the flow is not live.
    """
    if push_flows.mode_in_force(flow) != PushFlow.Mode.LIVE:
        raise Refused(_("Nothing leaves before the flow is live."))
    waiting = OutboxCommand.objects.filter(account=flow.account_id, verb=flow.verb, state=State.WAITING)
    with transaction.atomic():
        count = waiting.update(next_at=now)
        transaction.on_commit(partial(wake, flow.account, flow.verb, now=now))
    return count


def look_again(commands: Iterable[OutboxCommand], *, now: datetime) -> int:
    """Ask the marketplace now whether these arrived; what is proved absent is sent again.

    Taken are commands that are unknown, refused or given up. Returns: how many.
    """
    looked = (State.UNKNOWN, State.REFUSED, State.GIVEN_UP)
    return _reopen(commands, looked, state=State.UNKNOWN, absences=0, attempts=0, settled_at=None, now=now)


def release(commands: Iterable[OutboxCommand], *, now: datetime) -> int:
    """Let held commands go out after all. Returns: how many were held.

    What was held in shadow may have been told by another way; whoever releases it says that it was not.
    """
    return _reopen(commands, (State.HELD,), state=State.WAITING, message="", now=now)


def give_up(commands: Iterable[OutboxCommand], *, actor: str, now: datetime) -> int:
    """Stop trying: these are seen to by hand. What is being sent this moment is left alone. Returns: how many."""
    told = str(_("Given up by %(who)s.") % {"who": actor})
    done = 0
    with transaction.atomic():
        open_ones = (State.WAITING, State.HELD, State.UNKNOWN)
        for command in _locked(commands, open_ones):
            command.state, command.message, command.settled_at = State.GIVEN_UP, told[:500], now
            command.fence += 1
            command.save(update_fields=["state", "message", "settled_at", "fence"])
            push_settled.send(sender=OutboxCommand, command=command, now=now)
            done += 1
    return done


def _locked(commands: Iterable[OutboxCommand], states: Iterable[str]) -> list[OutboxCommand]:
    keys = [command.pk for command in commands]
    found = OutboxCommand.objects.filter(pk__in=keys, state__in=states).order_by("pk")
    return list(found.select_for_update(of=("self",)))


def _reopen(commands: Iterable[OutboxCommand], states: Iterable[str], *, now: datetime, **values: Any) -> int:
    with transaction.atomic():
        found = _locked(commands, states)
        for command in found:
            for name, value in (values | _anew(command, now)).items():
                setattr(command, name, value)
        OutboxCommand.objects.bulk_update(found, [*values, *_anew(found[0], now)] if found else ["fence"])
        flows = {(command.account_id, command.verb) for command in found}
        accounts = Account.objects.in_bulk([account_id for account_id, _verb in flows])
        for account_id, verb in flows:
            transaction.on_commit(partial(wake, accounts[account_id], verb, now=now))
    return len(found)


def _anew(command: OutboxCommand, now: datetime) -> dict[str, Any]:
    return {"next_at": now, "deadline_at": now + DEADLINE, "failures": 0, "fence": command.fence + 1}


def _coalesce(account: Account, verb: str, key: str, values: dict[str, Any]) -> OutboxCommand:
    """Take the place of a waiting command of the same key, or stand behind the rest."""
    same = OutboxCommand.objects.filter(account=account, verb=verb, key=key, state__in=(State.WAITING, State.HELD))
    for _attempt in range(3):
        waiting = same.select_for_update(of=("self",)).first()
        if waiting is not None:
            fresh = values | {"fence": waiting.fence + 1, "attempts": 0, "absences": 0, "failures": 0}
            for name, value in fresh.items():
                setattr(waiting, name, value)
            waiting.save(update_fields=list(fresh))
            return waiting
        try:
            with transaction.atomic():
                return OutboxCommand.objects.create(account=account, verb=verb, key=key, **values)
        except IntegrityError:
            continue  # somebody put one of the same key in this moment: take its place
    raise Conflict
