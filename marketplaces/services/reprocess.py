"""Rebuilds domain rows from the raw documents, in the order they came, through the same readers and loaders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction

from domventas.core.crypto import Unreadable
from marketplaces.errors import Malformed
from marketplaces.loaders import LoadRun
from marketplaces.models import Account, RawDocument, Stream
from marketplaces.registry import connectors
from marketplaces.selectors.gaps import stored_by_day
from marketplaces.selectors.raw import page_of
from marketplaces.services import days, streams
from marketplaces.services.claims import Claim, claim
from marketplaces.services.pages import Intake
from marketplaces.services.raw import SET_ASIDE
from marketplaces.services.sync import flows_of


@dataclass(slots=True, kw_only=True)
class Reprocessed:
    """What a rebuild did: documents read, records in them, rows that were not already so."""

    documents: int = 0
    records: int = 0
    changed: int = 0
    quarantined: int = 0
    unreadable: int = 0

    def __add__(self, other: Reprocessed) -> Reprocessed:
        return Reprocessed(
            documents=self.documents + other.documents,
            records=self.records + other.records,
            changed=self.changed + other.changed,
            quarantined=self.quarantined + other.quarantined,
            unreadable=self.unreadable + other.unreadable,
        )


def reprocess(
    accounts: Iterable[Account],
    *,
    now: datetime,
    flow: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    told: Callable[[str], None] = lambda text: None,
) -> Reprocessed:
    """Read the archive again, from documents last fetched at `since` on and before `until`.

    Documents without their personal data leave known buyers alone. A document that cannot be read is named and passed.

    Raises: Busy: one of the streams is being read just now.
    """
    total = Reprocessed()
    for account in accounts:
        wanted = flows_of(account, flow)
        for stream in sorted(streams.ensure(account), key=lambda x: wanted.index(x.flow) if x.flow in wanted else -1):
            if stream.flow in wanted:
                _stream(account, stream, total, now=now, since=since, until=until, told=told)
    return total


def reload(document: RawDocument, *, now: datetime) -> Reprocessed:
    """Read one document again, for a record that was quarantined. Raises: Busy."""
    account = Account.objects.get(pk=document.account_id)
    stream = Stream.objects.get(account=account, flow=document.flow)
    total = Reprocessed()
    with claim(stream, now=now) as held:
        _document(_intake(account, stream, held, now), held, document, total, told=lambda text: None)
    days.at_least(stream, stored_by_day(stream))
    return total


def _stream(
    account: Account,
    stream: Stream,
    total: Reprocessed,
    *,
    now: datetime,
    since: datetime | None,
    until: datetime | None,
    told: Callable[[str], None],
) -> None:
    documents = RawDocument.objects.filter(account_id=account.pk, flow=stream.flow).exclude(context__has_key=SET_ASIDE)
    if since is not None:
        documents = documents.filter(last_fetched_at__gte=since)
    if until is not None:
        documents = documents.filter(last_fetched_at__lt=until)
    ids = list(documents.order_by("last_fetched_at", "pk").values_list("pk", flat=True))
    with claim(stream, now=now) as held:
        intake = _intake(account, stream, held, now)
        for pk in ids:
            _document(intake, held, RawDocument.objects.get(pk=pk), total, told=told)
    days.at_least(stream, stored_by_day(stream))
    told(f"{account.code} {stream.flow}: {len(ids)} documents read again")


def _intake(account: Account, stream: Stream, held: Claim, now: datetime) -> Intake:
    flow = connectors[account.channel].flows[stream.flow]
    return Intake(account=account, stream=stream, flow=flow, claim=held, now=now)


def _document(
    intake: Intake, held: Claim, document: RawDocument, total: Reprocessed, *, told: Callable[[str], None]
) -> None:
    """One document, in one transaction behind the stream's fence."""
    run = LoadRun(
        now=intake.now, raw_id=document.pk, stream_id=intake.stream.pk,
        is_redacted=document.redacted_at is not None, is_repair=True,
    )  # fmt: skip
    before = intake.tally.records, intake.tally.written, intake.tally.quarantined
    total.documents += 1
    try:
        page = page_of(document)
        with transaction.atomic(), connection.cursor() as cursor:
            held.checkpoint(cursor, window=held.window, token=held.token)
            intake.load(page, run)
    except (Malformed, Unreadable) as error:
        total.unreadable += 1
        told(f"{document}: {error}")
        return
    total.records += intake.tally.records - before[0]
    total.changed += intake.tally.written - before[1]
    total.quarantined += intake.tally.quarantined - before[2]
