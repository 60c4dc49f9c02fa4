"""Our own jobs: those that were stopped because they never came to an end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext as _

from domventas.core.jobs.requeue import quarantined_runs
from tickets.detector import Look, Seen
from tickets.detectors.technical_issue.seen import OTHERS


def jobs(look: Look) -> Iterator[Seen]:
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
            refs={"where": "runs", "where_only": {"state__exact": "quarantined"}},
        )  # fmt: skip
