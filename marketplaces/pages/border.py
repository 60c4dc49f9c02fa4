"""The monitor's lower half: how each account stands at the border, drawn from `selectors.border`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from domventas.core.templatetags.figures import lasting
from marketplaces.models import OutboxCommand, PushFlow
from marketplaces.pages.words import PUSHES
from marketplaces.selectors.border import Border, Standing
from marketplaces.selectors.budget import Budget, Host
from marketplaces.selectors.outbox import FlowRow

#: Under this share of its burst an operation is nearly used up.
SCARCE: Final = 0.15
MINUTE: Final = 60.0
LOOKS: Final = {PushFlow.Mode.SHADOW: "none", PushFlow.Mode.LIVE: "good", PushFlow.Mode.STOPPED: "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The calls of one operation as the page draws them; `look` is a class, "" = nothing to say."""

    operation: str
    left: str
    rate: str
    closed: str
    wait: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One host that failed lately, in words."""

    host: str
    state: str
    why: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing the account is told: its switch, and what waits, with links."""

    verb: Any
    mode: Any
    look: str
    url: str
    counts: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountLine:
    """One account of the lower table."""

    standing: Standing
    calls: list[Calls]
    breakers: list[Breaker]
    told: list[Told]
    events_url: str
    failed_url: str
    runs_url: str


def lines(found: Border, *, is_stopped: bool, now: datetime) -> list[AccountLine]:
    """Every account of the client."""
    return [_line(standing, is_stopped=is_stopped, now=now) for standing in found.standings]


def runs_url(**about: int) -> str:
    """The list of jobs put aside."""
    listed = reverse("admin:core_taskrun_changelist")
    wanted: dict[str, int | str] = {"state__exact": "quarantined", **about}
    return f"{listed}?{urlencode(wanted)}"


def _line(standing: Standing, *, is_stopped: bool, now: datetime) -> AccountLine:
    events = reverse("admin:marketplaces_inboundevent_changelist")
    mine: dict[str, int | str] = {"account__id__exact": standing.account.pk}
    return AccountLine(
        standing=standing,
        calls=[_calls(one, now=now) for one in standing.budgets],
        breakers=[_breaker(host) for host in standing.hosts],
        told=[_told(row, is_stopped=is_stopped) for row in standing.pushes],
        events_url=f"{events}?{urlencode({**mine, 'state__exact': 'waiting'})}",
        failed_url=f"{events}?{urlencode({**mine, 'state__exact': 'failed'})}",
        runs_url=runs_url(account=standing.account.pk),
    )


def _calls(one: Budget, *, now: datetime) -> Calls:
    closed = one.closed_until is not None and one.closed_until > now
    scarce = one.tokens < one.burst * SCARCE
    return Calls(
        operation=one.operation,
        left=_("%(left)s of %(burst)s") % {"left": int(one.tokens), "burst": one.burst},
        rate=rate_in_words(one.rate),
        closed=_("closed until %(at)s") % {"at": f"{localtime(one.closed_until):%H:%M:%S}"} if closed else "",
        wait=_wait(one.wait_p95 or 0.0),
        look="bad" if closed else "warn" if scarce else "",
    )


def _wait(seconds: float) -> str:
    if seconds < 1:
        return ""
    return lasting(timedelta(seconds=seconds)) if seconds >= MINUTE else f"{seconds:.0f} s"


def rate_in_words(per_second: float) -> str:
    """In the unit that gives a number people can picture."""
    if per_second >= 1:
        return _("%(count)s a second") % {"count": f"{per_second:g}"}
    per_minute = per_second * MINUTE
    if per_minute >= 1:
        return _("%(count)s a minute") % {"count": f"{per_minute:.3g}"}
    if per_minute * MINUTE >= 1:
        return _("%(count)s an hour") % {"count": f"{per_minute * MINUTE:.3g}"}
    return _("%(count)s a day") % {"count": f"{per_minute * MINUTE * 24:.3g}"}


def _breaker(host: Host) -> Breaker:
    if host.gate == "open":
        until = f"{localtime(host.until):%H:%M}" if host.until else "–"
        state, look = _("open until %(at)s") % {"at": until}, "bad"
    elif host.gate == "half_open":
        state, look = _("probing"), "warn"
    else:
        words = ngettext("asked, failed once", "asked, failed %(count)d times in a row", host.failures)
        state, look = words % {"count": host.failures}, "warn"
    return Breaker(host=host.host, state=state, why=host.why, look=look)


def _told(row: FlowRow, *, is_stopped: bool) -> Told:
    mode = PushFlow.Mode.STOPPED if is_stopped else PushFlow.Mode(row.flow.mode if row.flow else PushFlow.Mode.SHADOW)
    listed = reverse("admin:marketplaces_outboxcommand_changelist")
    about: dict[str, int | str] = {"account__id__exact": row.account.pk, "verb": row.verb}

    def url(state: str) -> str:
        return f"{listed}?{urlencode({**about, 'state__exact': state})}"

    state = OutboxCommand.State
    counts = (
        (row.waiting, _("waiting"), "", state.WAITING),
        (row.unknown, _("unknown"), "warn", state.UNKNOWN),
        (row.given_up, _("given up"), "bad", state.GIVEN_UP),
    )
    return Told(
        verb=PUSHES.get(row.verb, row.verb),
        mode=mode.label,
        look=LOOKS[mode],
        url=reverse("marketplaces:pushes"),
        counts=[(f"{count} {words}", look, url(which)) for count, words, look, which in counts if count],
    )
