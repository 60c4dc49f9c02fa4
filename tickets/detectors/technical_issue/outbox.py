"""The outbox: what marketplaces should have been told by now, of which nobody knows, that was given up, or stopped."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from django.utils.translation import gettext as _

from marketplaces.models import OutboxCommand, PushFlow
from marketplaces.selectors import backlog
from orders.selectors import confirmations
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue.seen import moment, of_flow

#: A command without an answer may have arrived; nothing is sent twice meanwhile.
_DOUBT: Final = "S2"


def waiting(look: Look) -> Iterator[Seen]:
    """Commands waiting for longer than their flow promises; down to half of that they keep a ticket open."""
    for one in backlog.unsent(now=look.now):
        minutes = {"count": one.count, "minutes": (look.now - one.oldest) / timedelta(minutes=1)}
        cause = _("%(count)d wait to be told, the oldest for %(minutes).0f minutes.") % minutes
        level = Level.OPEN if look.now - one.oldest > one.promise else Level.HOLD
        yield of_flow(
            one.place, "unsent", _("not told in time"), f"{cause} {_why_unsent(one)}".strip(),
            _("See on Writing back what holds them; mend it, go live, and they go out by themselves."),
            level=level, where="pushes", facts={"count": one.count, "since": one.oldest.isoformat()},
        )  # fmt: skip


def _why_unsent(one: backlog.Unsent) -> str:
    if one.all_stopped:
        return _("All pushes are stopped. %(why)s") % {"why": one.why}
    if one.mode == PushFlow.Mode.STOPPED:
        return _("The flow is stopped. %(why)s") % {"why": one.why}
    return one.message


def unknown(look: Look) -> Iterator[Seen]:
    """Commands that may have arrived or not, and nobody could find out for long."""
    before = look.now - timedelta(minutes=float(look.limits["unknown_minutes"]))
    for one in backlog.unsettled(before=before):
        told = {"count": one.count, "since": moment(one.oldest), "words": one.message}
        cause = _("Of %(count)d nobody knows whether they arrived, since %(since)s. %(words)s") % told
        yield of_flow(
            one.place, "unknown", _("outcome unknown"), cause,
            _("They are looked up by themselves; look at the marketplace's own site, then look up again or give up."),
            severity=_DOUBT, where="commands", only=_only(one.place.account_id, OutboxCommand.State.UNKNOWN),
            facts={"count": one.count},
        )  # fmt: skip


def given_up(look: Look) -> Iterator[Seen]:
    """Parcels nobody tells of any more although their orders are not shipped there yet."""
    for one in confirmations.given_up():
        told = {"count": one.count, "words": one.message}
        yield of_flow(
            one.place, "given_up", _("given up"), _("Telling of %(count)d parcels was given up. %(words)s") % told,
            _("Look at each on the marketplace's own site; what is not shipped there: look up again."),
            severity=_DOUBT, where="commands", only=_only(one.place.account_id, OutboxCommand.State.GIVEN_UP),
            facts={"count": one.count},
        )  # fmt: skip


def stopped(look: Look) -> Iterator[Seen]:
    """Flows that stopped by themselves: a sign-in refused, more at once than usual. What people stopped is theirs."""
    for place, why in backlog.stopped_by_itself():
        yield of_flow(
            place, "stopped", _("stopped by itself"), _("Nothing leaves any more: %(why)s") % {"why": why},
            _("Mend what it names, then go live again on Writing back."), where="pushes",
        )  # fmt: skip


def _only(account: int, state: str) -> dict[str, Any]:
    return {"account__id__exact": account, "state__exact": state}
