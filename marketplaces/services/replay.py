"""Reads the archive of one stream again as a job: asked for by a person, in batches, from where it was if it dies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from django.db import transaction

from domventas.core.errors import Refused
from domventas.core.jobs import firing
from domventas.core.models import TaskRun
from marketplaces.models import Account, RawDocument, Stream
from marketplaces.registry import connectors
from marketplaces.services.pages import Step
from marketplaces.services.reprocess import Reprocessed, reprocess

#: Documents between two steps of the job.
BATCH: Final = 100
#: Before every document.
EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)


def ask(stream: Stream, *, now: datetime, since: datetime | None = None) -> TaskRun:
    """Ask for everything kept of a stream, or what was fetched at `since` or later, to be read again.

    Nothing is asked of the marketplace. A replay under way begins anew.

    Raises: Refused: the marketplace no longer has this flow.
    """
    connector = connectors.get(stream.account.channel)
    if connector is None or stream.flow not in connector.flows:
        raise Refused(f"{stream.account} no longer has the flow {stream.flow}.")
    with transaction.atomic():
        Stream.objects.filter(pk=stream.pk).update(replay_since=since or EVER, replay_next=since or EVER)
        return firing.enqueue(f"ingest.{connector.name}.replay", account_id=stream.account_id, now=now)


def asked_at(channel: str) -> list[int]:
    """The acting client's accounts at a marketplace with a replay that has not come to its end."""
    found = Stream.objects.filter(replay_since__isnull=False, account__channel=channel)
    return sorted(set(found.values_list("account_id", flat=True)))


def replay(account: Account, *, now: datetime, step: Step = transaction.atomic) -> Reprocessed:
    """Read again what was asked for of an account, batch by batch. Raises: Busy: a stream is being read just now."""
    total = Reprocessed()
    for stream in Stream.objects.filter(account=account, replay_since__isnull=False).order_by("flow"):
        since, until = stream.replay_next or EVER, _edge(stream, stream.replay_next or EVER)
        while True:
            total += reprocess([account], now=now, flow=stream.flow, since=since, until=until)
            with step():
                # Asked anew meanwhile: what somebody wrote there stays, and the next run does it.
                mine = Stream.objects.filter(pk=stream.pk, replay_since=stream.replay_since, replay_next=since)
                left = {"replay_next": until} if until else {"replay_next": None, "replay_since": None}
                is_ours = mine.update(**left)
            if until is None or not is_ours:
                break
            since, until = until, _edge(stream, until)
    return total


def _edge(stream: Stream, since: datetime) -> datetime | None:
    """Where the batch from `since` ends: no moment is split between two; None when the rest is one batch."""
    kept = RawDocument.objects.filter(account_id=stream.account_id, flow=stream.flow, last_fetched_at__gte=since)
    moments = kept.order_by("last_fetched_at").values_list("last_fetched_at", flat=True)
    last = moments[BATCH - 1 : BATCH].first()
    return moments.filter(last_fetched_at__gt=last).first() if last else None
