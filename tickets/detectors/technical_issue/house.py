"""The house itself: jobs that were stopped because they never came to an end, and an audit that is not sealed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext as _

from domventas.core.audit import seals as audit
from domventas.core.jobs.requeue import quarantined_runs
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue.seen import OTHERS, moment


def jobs(look: Look) -> Iterator[Seen]:
    """Jobs that were stopped because they never came to an end."""
    before = look.now - timedelta(hours=float(look.limits["held_hours"]))
    for run in quarantined_runs().filter(ended_at__lt=before):
        yield Seen(
            check="job", fingerprint=f"job:{run.pk}", ticket_key=f"job:{run.task}",
            title=_("%(task)s of %(slot)s was stopped") % {"task": run.task, "slot": moment(run.slot)},
            ticket_title=_("%(task)s: stopped after three starts") % {"task": run.task},
            cause=run.note or _("Three starts without progress or end."),
            action=_("Mend the cause, then requeue it under Task runs."), account_id=run.account_id or None,
            severity=OTHERS, happened_at=run.slot, facts={"attempts": run.attempt},
            refs={"where": "runs", "where_only": {"state__exact": "quarantined"}},
        )  # fmt: skip


def seals(look: Look) -> Iterator[Seen]:
    """Changes nobody has sealed for too long: until then they could be touched without being found out."""
    patience = timedelta(minutes=float(look.limits["seal_minutes"]))
    late = audit.overdue(before=look.now - patience / 2)
    if late is None:
        return
    told = {"count": late.count, "since": moment(late.since)}
    yield Seen(
        check="seals", fingerprint="seals", ticket_key="house:audit", title=_("Audit not sealed"),
        ticket_title=_("The audit is not sealed"),
        cause=_("%(count)d changes are in no seal, the first of %(since)s; they are sealed every minute.") % told,
        action=_("See under Task runs whether platform.audit.seal runs; a transaction left open holds it up, too."),
        level=Level.OPEN if look.now - late.since > patience else Level.HOLD, severity="S2", happened_at=late.since,
        refs={"where": "runs", "where_only": {"task": "platform.audit.seal"}}, facts={"count": late.count},
    )  # fmt: skip
