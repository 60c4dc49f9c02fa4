"""Technical issues: what does not run as it should at the border or in the house, one incident per account and flow.

Each part looks at one corner and yields what it finds; a new check is a function in `CHECKS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext_lazy

from tickets.detector import Category, Detector, Look, Seen
from tickets.detectors.technical_issue import credentials, events, house, outbox, streams

CHECKS: Final[tuple[Callable[[Look], Iterator[Seen]], ...]] = (
    streams.late, streams.failing, streams.held, streams.odd, streams.thin, streams.absent,
    outbox.waiting, outbox.unknown, outbox.given_up, outbox.stopped,
    events.waiting, events.failed, events.turned_away, events.queues,
    credentials.expiring,
    house.jobs, house.seals,
)  # fmt: skip


def find(look: Look) -> Iterator[Seen]:
    """Everything at the border and among the jobs that is not as it should be."""
    for check in CHECKS:
        yield from check(look)


technical_issue = Detector(
    name="technical_issue",
    label=gettext_lazy("Technical issues"),
    category=Category.TECHNICAL,
    job="detect.technical",
    limits={
        "late_times": Decimal(2), "readings": Decimal(5), "failed_share": Decimal("0.2"),
        "failed_share_closes": Decimal("0.05"), "held_hours": Decimal(1), "drift_seen": Decimal(10),
        "drift_hours": Decimal(24), "unknown_minutes": Decimal(60), "event_minutes": Decimal(30),
        "event_hours": Decimal(24), "events_failed": Decimal(3), "refused_hours": Decimal(2),
        "refused_messages": Decimal(10), "queue_minutes": Decimal(15),
        "credential_days": Decimal(14), "seal_minutes": Decimal(15),
    },
    find=find,
    close_after=4,
    takes_position=False,
)  # fmt: skip
