"""Technical issues: what is late, refused, failing, held back or missing, one incident per account and flow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from domventas.core.jobs.requeue import quarantined_runs
from finance.selectors.statements import absent_statements
from marketplaces.selectors import monitor, trouble
from marketplaces.selectors.monitor import Health, Row
from tickets.detector import Category, Detector, Level, Look, Seen

#: Blind to orders, we miss ship-by dates and pay for it; blind to money, we lose claims; the rest can wait a little.
AT_LEAST: Final = {"orders": "S1", "settlements": "S2", "transactions": "S2", "payouts": "S2"}
OTHERS: Final = "S3"


def find(look: Look) -> Iterator[Seen]:
    """Everything at the border and among the jobs that is not as it should be."""
    yield from _streams(look)
    yield from _failing(look)
    yield from _held(look)
    yield from _odd(look)
    yield from _thin(look)
    yield from _absent(look)
    yield from _jobs(look)


def _streams(look: Look) -> Iterator[Seen]:
    """Refused sign-ins, and flows older than twice their target; between once and twice they keep a ticket open."""
    for row in monitor.rows(now=look.now):
        if row.health is Health.BROKEN:
            yield _of_flow(
                row, "sign_in", _("sign-in refused"), row.last_error or _("The marketplace refused our sign-in."),
                _("Enter new credentials on the account, test the connection, resume."),
            )  # fmt: skip
        elif row.health is Health.FAILING and row.age is None:
            yield _of_flow(
                row, "late", _("never read completely"), row.last_error,
                _("See the last error on the integration monitor; run it now."),
            )  # fmt: skip
        elif row.health in (Health.LATE, Health.FAILING) and row.age is not None and row.age > row.target:
            level = Level.OPEN if row.age > row.target * float(look.limits["late_times"]) else Level.HOLD
            cause = _("Complete up to %(hours).1f hours ago; the target is %(target).1f.") % {
                "hours": row.age / timedelta(hours=1),
                "target": row.target / timedelta(hours=1),
            }
            yield _of_flow(
                row, "late", _("late"), f"{cause} {row.last_error}".strip(),
                _("See the last error on the integration monitor; run it now."), level=level,
            )  # fmt: skip


def _failing(look: Look) -> Iterator[Seen]:
    """More readings fail than may; a few keep a ticket open."""
    for one in trouble.failing(now=look.now, at_least=int(look.limits["readings"])):
        if one.share >= look.limits["failed_share_closes"]:
            level = Level.OPEN if one.share > look.limits["failed_share"] else Level.HOLD
            facts = {"failed": one.failed, "readings": one.readings}
            cause = _("%(failed)d of %(readings)d readings of the last hour failed.") % facts
            yield _at(one.place, "failing", _("failing"), cause, _("See the errors on the integration monitor."),
                      level=level, facts=facts)  # fmt: skip


def _held(look: Look) -> Iterator[Seen]:
    """Records that could not be read or stored and wait for people."""
    for one in trouble.held(before=look.now - timedelta(hours=float(look.limits["held_hours"]))):
        cause = _("%(count)d records could not be read or stored.") % {"count": one.records}
        yield _at(one.place, "quarantine", _("records in quarantine"), cause,
                  _("Open the quarantine: each record says why; read it again once the cause is mended."),
                  facts={"records": one.records, "since": one.since.isoformat()})  # fmt: skip


def _odd(look: Look) -> Iterator[Seen]:
    """Fields and values the marketplace's description does not name."""
    since = look.now - timedelta(hours=float(look.limits["drift_hours"]))
    for one in trouble.odd(at_least=int(look.limits["drift_seen"]), since=since):
        cause = _("%(path)s brings “%(value)s”, which is not described.") % {"path": one.path, "value": one.value}
        yield _at(one.place, "drift", _("new field or value"), cause, _("Say what it means, in the connector."),
                  part=f"{one.path}={one.value}", severity=OTHERS, facts={"seen": one.seen})  # fmt: skip


def _thin(look: Look) -> Iterator[Seen]:
    """All green, and yet far less arrives than on such days before."""
    for one in trouble.thin("orders", today=trouble.today_of(look.now)):
        facts = {"rows": one.rows, "expected": f"{one.expected:.0f}", "days": one.days}
        cause = _("%(rows)d orders in %(days)d days, where about %(expected)s were to be expected.") % facts
        yield _at(one.place, "thin", _("far fewer orders than usual"), cause,
                  _("Compare with the seller portal; read the days again."), severity="S2", facts=facts)  # fmt: skip


def _absent(look: Look) -> Iterator[Seen]:
    """The account's next statement should be here."""
    for one in absent_statements(now=look.now):
        place = trouble.Place(account_id=one.account_id, account=one.account, channel=one.channel, flow="settlements")
        told = {
            "last": one.last_ref,
            "day": one.last_end.isoformat(),
            "cycle": one.cycle,
            "due": one.due_on.isoformat(),
        }
        cause = _(
            "The last statement ended on %(day)s; one comes every %(cycle)d days, so the next was due by %(due)s."
        )
        yield _at(place, "absent", _("statement missing"), cause % told,
                  _("Look for it in the seller portal; import its file, or ask the marketplace."),
                  part=one.currency, severity="S2", facts=told)  # fmt: skip


def _jobs(look: Look) -> Iterator[Seen]:
    """Jobs that were stopped because they never came to an end."""
    before = look.now - timedelta(hours=float(look.limits["held_hours"]))
    for run in quarantined_runs().filter(ended_at__lt=before):
        yield Seen(
            check="job", fingerprint=f"job:{run.pk}", ticket_key=f"job:{run.task}",
            title=_("%(task)s of %(slot)s was stopped") % {"task": run.task, "slot": f"{run.slot:%Y-%m-%d %H:%M}"},
            ticket_title=_("%(task)s: stopped after three starts") % {"task": run.task},
            cause=run.note or _("Three starts without progress or end."),
            action=_("Mend the cause, then requeue it under Task runs."), account_id=run.account_id or None,
            severity=OTHERS, happened_at=run.slot, facts={"attempts": run.attempt},
        )  # fmt: skip


def _of_flow(row: Row, check: str, what: str, cause: str, action: str, *, level: Level = Level.OPEN) -> Seen:
    place = trouble.Place(account_id=row.account_id, account=row.account, channel=row.channel, flow=row.flow)
    return _at(place, check, what, cause, action, level=level, facts={"failures": row.failures, "gaps": row.gaps})


def _at(
    place: trouble.Place, check: str, what: str, cause: str, action: str, *, part: str = "",
    level: Level = Level.OPEN, severity: str = "", facts: dict[str, Any] | None = None,
) -> Seen:  # fmt: skip
    """One child of the incident of this account and flow."""
    where, flow = f"{place.account} {place.flow}", f"{place.account_id}:{place.flow}"
    return Seen(
        check=check, fingerprint=f"{check}:{flow}:{part}"[:200], ticket_key=f"flow:{flow}",
        title=f"{where}: {what}", ticket_title=_("%(where)s does not run as it should") % {"where": where},
        cause=cause[:300], action=action, account_id=place.account_id, channel=place.channel, level=level,
        severity=severity or AT_LEAST.get(place.flow, OTHERS), refs={"flow": place.flow}, facts=facts or {},
    )  # fmt: skip


technical_issue = Detector(
    name="technical_issue",
    label=gettext_lazy("Technical issues"),
    category=Category.TECHNICAL,
    job="detect.technical",
    limits={
        "late_times": Decimal(2), "readings": Decimal(5), "failed_share": Decimal("0.2"),
        "failed_share_closes": Decimal("0.05"), "held_hours": Decimal(1), "drift_seen": Decimal(10),
        "drift_hours": Decimal(24),
    },
    find=find,
    close_after=4,
    takes_position=False,
)  # fmt: skip
