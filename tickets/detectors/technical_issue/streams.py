"""Streams: refused, late, failing, held back, odd, thin or absent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext as _

from domventas.core.models import Client
from domventas.core.tenancy import current
from domventas.core.times import day_in
from finance.selectors.statements import absent_statements
from marketplaces.selectors import monitor, trouble
from marketplaces.selectors.monitor import Health, Row
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue.seen import OTHERS, of_flow


def late(look: Look) -> Iterator[Seen]:
    """Refused sign-ins, and flows older than twice their target; between once and twice they keep a ticket open."""
    for row in monitor.rows(now=look.now):
        if row.health is Health.BROKEN:
            yield _of_row(
                row, "sign_in", _("sign-in refused"), row.last_error or _("The marketplace refused our sign-in."),
                _("Enter new credentials on the account, test the connection, resume."),
                where="account", row=row.account_id,
            )  # fmt: skip
        elif row.health is Health.FORBIDDEN:
            yield _of_row(
                row, "right", _("right missing"), row.last_error,
                _("Grant the right at the marketplace, then run the flow now on the integration monitor."),
            )  # fmt: skip
        elif row.health is Health.FAILING and row.age is None:
            yield _of_row(
                row, "late", _("never read completely"), row.last_error,
                _("See the last error on the integration monitor; run it now."),
            )  # fmt: skip
        elif row.health in (Health.LATE, Health.FAILING) and row.age is not None and row.age > row.target:
            level = Level.OPEN if row.age > row.target * float(look.limits["late_times"]) else Level.HOLD
            cause = _("Complete up to %(hours).1f hours ago; the target is %(target).1f.") % {
                "hours": row.age / timedelta(hours=1),
                "target": row.target / timedelta(hours=1),
            }
            yield _of_row(
                row, "late", _("late"), f"{cause} {row.last_error}".strip(),
                _("See the last error on the integration monitor; run it now."), level=level,
            )  # fmt: skip


def failing(look: Look) -> Iterator[Seen]:
    """More readings fail than may; a few keep a ticket open."""
    for one in trouble.failing(now=look.now, at_least=int(look.limits["readings"])):
        if one.share >= look.limits["failed_share_closes"]:
            level = Level.OPEN if one.share > look.limits["failed_share"] else Level.HOLD
            facts = {"failed": one.failed, "readings": one.readings}
            cause = _("%(failed)d of %(readings)d readings of the last hour failed.") % facts
            yield of_flow(one.place, "failing", _("failing"), cause, _("See the errors on the integration monitor."),
                      level=level, facts=facts)  # fmt: skip


def held(look: Look) -> Iterator[Seen]:
    """Records that could not be read or stored and wait for people."""
    for one in trouble.held(before=look.now - timedelta(hours=float(look.limits["held_hours"]))):
        cause = _("%(count)d records could not be read or stored.") % {"count": one.records}
        yield of_flow(one.place, "quarantine", _("records in quarantine"), cause,
                  _("Open the quarantine: each record says why; read it again once the cause is mended."),
                  facts={"records": one.records, "since": one.since.isoformat()}, where="quarantine")  # fmt: skip


def odd(look: Look) -> Iterator[Seen]:
    """Fields and values the marketplace's description does not name."""
    since = look.now - timedelta(hours=float(look.limits["drift_hours"]))
    for one in trouble.odd(at_least=int(look.limits["drift_seen"]), since=since):
        cause = _("%(path)s brings “%(value)s”, which is not described.") % {"path": one.path, "value": one.value}
        yield of_flow(one.place, "drift", _("new field or value"), cause, _("Say what it means, in the connector."),
                  part=f"{one.path}={one.value}", severity=OTHERS, facts={"seen": one.seen}, where="drift")  # fmt: skip


def thin(look: Look) -> Iterator[Seen]:
    """All green, and yet far less arrives than on such days before."""
    for one in trouble.thin("orders", today=trouble.today_of(look.now)):
        facts = {"rows": one.rows, "expected": f"{one.expected:.0f}", "days": one.days}
        cause = _("%(rows)d orders in %(days)d days, where about %(expected)s were to be expected.") % facts
        yield of_flow(one.place, "thin", _("far fewer orders than usual"), cause,
                  _("Compare with the seller portal; read the days again."), severity="S2", facts=facts)  # fmt: skip


def absent(look: Look) -> Iterator[Seen]:
    """A statement that should be here: the next one, one between two, or one announced without its lines."""
    today = day_in(Client.objects.get(pk=current().one).zone, look.now)
    for one in absent_statements(today=today):
        place = trouble.Place(account_id=one.account_id, account=one.account, channel=one.channel, flow="settlements")
        told = {
            "ref": one.settlement_ref,
            "day": one.start.isoformat(),
            "end": one.end.isoformat(),
            "cycle": one.cycle,
            "due": one.due_on.isoformat(),
        }
        part = one.currency if one.what == "after" else f"{one.currency}:{one.what}:{one.start}"
        yield of_flow(place, "absent", _("statement missing"), _absence(one.what) % told,
                      _("Look for it in the seller portal; bring its file where it has one, or ask the marketplace."),
                      part=part, severity="S2", facts=told,
                      where="settlements")  # fmt: skip


def _absence(what: str) -> str:
    """How a missing statement is told, with places for its numbers and days."""
    match what:
        case "between":
            return _("None covers %(day)s to %(end)s, although those before and after are here.")
        case "without_lines":
            return _("Statement %(ref)s was announced up to %(end)s; its lines were due by %(due)s and have not come.")
        case _:
            return _(
                "The last statement ended on %(day)s; one comes every %(cycle)d days, so the next was due by %(due)s."
            )


def _of_row(of: Row, check: str, what: str, cause: str, action: str, **more: Any) -> Seen:
    place = trouble.Place(account_id=of.account_id, account=of.account, channel=of.channel, flow=of.flow)
    return of_flow(place, check, what, cause, action, facts={"failures": of.failures, "gaps": of.gaps}, **more)
