"""Which job of the timetable reads which flow, and asking for one run outside of it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction

from domventas.core.jobs import firing
from domventas.core.models import TaskRun
from marketplaces.models import Account, Stream
from marketplaces.registry import connectors

#: Flow → name of its job before the marketplace's own name.
JOBS: Final = {
    "orders": "orders.pull",
    "offers": "offers.snapshot",
    "settlements": "settlements.pull",
    "transactions": "finance.transactions",
    "payouts": "payouts.pull",
}


def rows(flow: str) -> list[tuple[str, str]]:
    """(marketplace, cadence) of every marketplace that has this flow."""
    return [(name, connector.flows[flow].cadence) for name, connector in connectors.items() if flow in connector.flows]


def report_rows() -> list[tuple[str, str]]:
    """Marketplaces with asynchronous reports; the cadence is the job's own."""
    return [(name, "") for name, connector in connectors.items() if any(f.reports for f in connector.flows.values())]


def push_rows(verb: str) -> list[tuple[str, str]]:
    """(marketplace, cadence) of every marketplace that can be told this."""
    return [
        (name, connector.pushes[verb].cadence) for name, connector in connectors.items() if verb in connector.pushes
    ]


def event_rows() -> list[tuple[str, str]]:
    """Marketplaces that tell us of changes; the cadence is the job's own."""
    return [(name, "") for name, connector in connectors.items() if connector.events]


def queue_rows() -> list[tuple[str, str]]:
    """Marketplaces that tell us by a queue."""
    return [(name, "") for name, connector in connectors.items() if connector.events and connector.events.queues]


def asking_rows() -> list[tuple[str, str]]:
    """Marketplaces that can be asked for their events; the cadence is the job's own."""
    return [(name, "") for name, connector in connectors.items() if connector.events and connector.events.asking]


def every_row() -> list[tuple[str, str]]:
    """Every marketplace; the cadence is the job's own."""
    return [(name, "") for name in connectors]


def members(channel: str) -> list[int]:
    """The acting client's accounts at a marketplace that may be read."""
    return list(
        Account.objects.filter(channel=channel, status=Account.Status.ACTIVE)
        .order_by("pk")
        .values_list("pk", flat=True)
    )


def names() -> dict[int, str]:
    """What people call the acting client's accounts, by number."""
    return dict(Account.objects.order_by("name").values_list("pk", "name"))


def run_now(stream: Stream, *, now: datetime) -> TaskRun:
    """Ask for one reading of a stream outside the timetable, also if it was told to wait; the audit keeps who asked."""
    row = f"{JOBS[stream.flow]}.{stream.account.channel}"
    with transaction.atomic():
        Stream.objects.filter(pk=stream.pk).update(not_before=None, asked_at=now)
        return firing.enqueue(row, account_id=stream.account_id, now=now)
