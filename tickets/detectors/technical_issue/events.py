"""Events: waiting too long, failed, turned away in number, or left lying in their queue. Polls read the same, later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.utils.translation import gettext as _

from marketplaces.models import InboundEvent
from marketplaces.selectors import arrivals
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue.seen import moment, of_flow

State = InboundEvent.State
#: So few turned away say something where nothing else is accepted there.
FEW: Final = 3


def waiting(look: Look) -> Iterator[Seen]:
    """Events nobody works on; down to half of the time they keep a ticket open."""
    patience = timedelta(minutes=float(look.limits["event_minutes"]))
    for one in arrivals.waiting(before=look.now - patience / 2):
        told = {"count": one.count, "since": moment(one.since), "note": one.note}
        cause = _("%(count)d events wait to be worked on, the first since %(since)s. %(note)s") % told
        is_late = one.worn or look.now - one.since > patience
        yield of_flow(
            one.place, "events", _("events wait"), cause.strip(),
            _("See under Task runs whether events.drain runs, and in the notes what it waits for."),
            level=Level.OPEN if is_late else Level.HOLD,
            where="events", only=_only(one, State.WAITING), facts={"count": one.count},
        )  # fmt: skip


def failed(look: Look) -> Iterator[Seen]:
    """Events that were tried eight times, or cannot be read; a few keep a ticket open."""
    since = look.now - timedelta(hours=float(look.limits["event_hours"]))
    for one in arrivals.failed(since=since):
        told = {"count": one.count, "note": one.note}
        yield of_flow(
            one.place, "events_failed", _("events failed"), _("%(count)d events failed: %(note)s") % told,
            _("The note says why; mend it, choose them under Events, work on them once more."),
            level=Level.OPEN if one.count >= look.limits["events_failed"] else Level.HOLD,
            where="events", only=_only(one, State.FAILED), facts={"count": one.count},
        )  # fmt: skip


def turned_away(look: Look) -> Iterator[Seen]:
    """Messages an address refused: many, or a few where no other is accepted, which is a wrong secret."""
    since = look.now - timedelta(hours=float(look.limits["refused_hours"]))
    for one in arrivals.refused(since=since):
        is_many = one.count >= look.limits["refused_messages"] or (one.count >= FEW and not one.has_good)
        cause = _("%(count)d messages were turned away, and others accepted: %(why)s")
        if not one.has_good:
            cause = _("%(count)d messages were turned away, and none accepted: %(why)s")
        yield of_flow(
            one.place, "refused", _("messages turned away"), cause % {"count": one.count, "why": one.why},
            _("Enter the signing secret again and compare the clocks; where others are accepted, somebody forges."),
            part=str(one.inlet_id), level=Level.OPEN if is_many else Level.HOLD, where="inlets",
            only={"account__id__exact": one.place.account_id}, facts={"count": one.count},
        )  # fmt: skip


def queues(look: Look) -> Iterator[Seen]:
    """Queues nobody has read for too long, and those that bring more than is taken."""
    patience = timedelta(minutes=float(look.limits["queue_minutes"]))
    for one in arrivals.listening(now=look.now):
        told = {"queue": one.queue or _("the platform's queue"), "read": moment(one.read_at),
                "emptied": moment(one.emptied_at), "error": one.error}  # fmt: skip
        if look.now - one.read_at > patience / 2:
            cause = _("Queue %(queue)s was not read since %(read)s. %(error)s") % told
            yield of_flow(
                one.place, "queue", _("queue not read"), cause.strip(),
                _("Enter its keys again under Inlets; where nothing is wrong with them, see if events.receive runs."),
                part=str(one.inlet_id), where="inlets", only={"account__id__exact": one.place.account_id},
                level=Level.OPEN if look.now - one.read_at > patience else Level.HOLD,
            )  # fmt: skip
        elif look.now - one.emptied_at > patience / 2:
            yield of_flow(
                one.place, "queue", _("queue not emptied"),
                _("Queue %(queue)s is read, and was not empty since %(emptied)s.") % told,
                _("See under Task runs how events.receive does; it catches up, or somebody floods the queue."),
                part=str(one.inlet_id), where="runs", only={"task": f"events.receive.{one.place.channel}"},
                level=Level.OPEN if look.now - one.emptied_at > patience else Level.HOLD,
            )  # fmt: skip


def _only(one: arrivals.Stuck, state: str) -> dict[str, Any]:
    return {"account__id__exact": one.place.account_id, "state__exact": state}
