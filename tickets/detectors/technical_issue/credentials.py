"""Secrets that run out soon. Those that were refused already are told by the flows that stand still for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from django.utils.translation import gettext as _

from marketplaces.selectors.credentials import Expiring
from marketplaces.selectors.credentials import expiring as running_out
from tickets.detector import Look, Seen
from tickets.detectors.technical_issue.seen import of_flow


def expiring(look: Look) -> Iterator[Seen]:
    """Secrets with their last day, told two weeks before; the nearer, the graver."""
    today = look.now.astimezone(UTC).date()
    for one in running_out(by=today + timedelta(days=int(look.limits["credential_days"]))):
        days = (one.on - today).days
        yield of_flow(
            one.place, "expiry", _("run out on %(day)s") % {"day": one.on.isoformat()}, _words(one, days),
            _("Make new ones at the marketplace and enter them on the account before that day; nothing stands still."),
            severity="S1" if days < 3 else "S2" if days < 7 else "S3", where="account", row=one.place.account_id,
            ticket_title=_("%(account)s: secrets run out") % {"account": one.place.account},
            deadline_at=datetime.combine(one.on, time(), tzinfo=UTC), facts={"day": one.on.isoformat()},
        )  # fmt: skip


def _words(one: Expiring, days: int) -> str:
    told = {"day": one.on.isoformat(), "days": days}
    if days < 0:
        return _("The secrets of this account have run out on %(day)s.") % told
    if one.is_said:
        return _("The secrets of this account run out on %(day)s, in %(days)d days.") % told
    return _("The secrets of this account run out on %(day)s at the latest, in %(days)d days.") % told
