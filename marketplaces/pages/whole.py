"""Whether everything is here: what keeps it from being so over all accounts, and the sentence when nothing does.

Apps above put their part on the page "monitor": `facts`, what is `whole` when there are none, and what they know of
flows (see marketplaces.pages.by_file.Known).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from domventas.core import panels
from domventas.core.pages import Fact
from marketplaces.models import InboundEvent, OutboxCommand
from marketplaces.pages import border as lower
from marketplaces.pages.by_file import Known, gathered
from marketplaces.selectors import trouble
from marketplaces.selectors.border import Border
from marketplaces.selectors.monitor import Health, Row

GRAVE: Final = (Health.BROKEN, Health.FORBIDDEN, Health.FAILING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What keeps the data from being whole; without any of it `sentence` says what was looked at.

    `known`: what other apps miss, by account and flow.
    """

    facts: list[Fact]
    sentence: str
    known: Known


def whole(request: HttpRequest, rows: Iterable[Row], found: Border, *, now: datetime) -> Whole:
    """Of all accounts, whatever the page's filters show."""
    parts = [drawn.data for drawn in panels.draw(request, "monitor")]
    looked_at = [
        _("every flow is fresh and without a gap"), *(str(part["whole"]) for part in parts),
        _("no record is in quarantine"), _("no event, push or job has failed"),
    ]  # fmt: skip
    return Whole(
        facts=[*_flows(rows), *(fact for part in parts for fact in part["facts"]), *_records(now), *_border(found)],
        sentence=_("Nothing: %(parts)s.") % {"parts": ", ".join(looked_at)},
        known=gathered(parts),
    )


def _flows(rows: Iterable[Row]) -> Iterable[Fact]:
    rows = list(rows)
    url = f"{reverse('marketplaces:monitor')}?state="
    if wrong := [row for row in rows if is_wrong(row)]:
        words = ngettext("%(count)d flow is not fresh", "%(count)d flows are not fresh", len(wrong))
        level = "bad" if any(row.health in GRAVE for row in wrong) else "warn"
        yield Fact(level, words % {"count": len(wrong)}, f"{url}wrong")
    if gaps := sum(row.gaps for row in rows):
        words = ngettext("%(count)d gap in what was read", "%(count)d gaps in what was read", gaps)
        yield Fact("warn", words % {"count": gaps}, f"{url}needs")


def _records(now: datetime) -> Iterable[Fact]:
    if count := sum(one.records for one in trouble.held(before=now)):
        words = ngettext("%(count)d record in quarantine", "%(count)d records in quarantine", count)
        yield Fact("warn", words % {"count": count}, _listed("quarantined", resolved_at__isempty=1))


def _border(found: Border) -> Iterable[Fact]:
    """Events nobody could work on, what was told and not taken, jobs put aside."""
    if failed := sum(standing.events.failed for standing in found.standings if standing.events):
        words = ngettext("%(count)d event has failed", "%(count)d events have failed", failed)
        yield Fact("bad", words % {"count": failed}, _listed("inboundevent", state__exact=InboundEvent.State.FAILED))
    state = OutboxCommand.State
    pushes = [row for standing in found.standings for row in standing.pushes]
    if count := sum(row.refused for row in pushes):
        words = ngettext("%(count)d push was refused", "%(count)d pushes were refused", count)
        yield Fact("bad", words % {"count": count}, _listed("outboxcommand", state__exact=state.REFUSED))
    if count := sum(row.unknown for row in pushes):
        words = ngettext(
            "whether %(count)d push arrived is unknown", "whether %(count)d pushes arrived is unknown", count
        )
        yield Fact("warn", words % {"count": count}, _listed("outboxcommand", state__exact=state.UNKNOWN))
    if count := sum(row.given_up for row in pushes):
        words = ngettext("%(count)d push was given up", "%(count)d pushes were given up", count)
        yield Fact("bad", words % {"count": count}, _listed("outboxcommand", state__exact=state.GIVEN_UP))
    if jobs := found.runs + sum(standing.runs for standing in found.standings):
        words = ngettext("%(count)d job was put aside", "%(count)d jobs were put aside", jobs)
        yield Fact("bad", words % {"count": jobs}, lower.runs_url())


def is_wrong(row: Row) -> bool:
    """Whether a flow is not as fresh as it should be; one that people paused says nothing."""
    return row.health not in (Health.FRESH, Health.PAUSED)


def _listed(model: str, **wanted: Any) -> str:
    return f"{reverse(f'admin:marketplaces_{model}_changelist')}?{urlencode(wanted)}"
