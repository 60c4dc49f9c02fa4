"""From one answer to rows: archived, translated, and loaded together with the checkpoint, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import DataError, IntegrityError, connection, transaction

from domventas.core.errors import DomventasError
from marketplaces.errors import Malformed
from marketplaces.loaders import Loaded, Loader, LoadRun, loaders
from marketplaces.models import Account, Stream, SyncWindow
from marketplaces.port import Flow, RawPage
from marketplaces.records import Drift, Record, Rejected
from marketplaces.services import days, quarantine, raw
from marketplaces.services.claims import Claim, Span

Step = Callable[[], AbstractContextManager[Any]]

#: What a single record's content can make a loader raise; anything else is a fault of ours and stops the stream.
CONTENT_ERRORS: Final = (DataError, IntegrityError, DomventasError, Malformed, ValueError, TypeError, KeyError)


@dataclass(slots=True)
class Tally:
    """What a reading did, in numbers."""

    pages: int = 0
    records: int = 0
    written: int = 0
    quarantined: int = 0


@dataclass(slots=True)
class _Read:
    """One page in pieces."""

    records: list[Record] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    drift: list[Drift] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Intake:
    """Takes in the answers of one stream, one transaction each.

    Attributes:
        claim: the right to move the stream's checkpoint; None for things fetched by their number, which move none.
        step: opens the transaction of a page; a job puts its own, with its own fence.
    """

    account: Account
    stream: Stream
    flow: Flow
    claim: Claim | None
    now: datetime
    step: Step = transaction.atomic
    tally: Tally = field(default_factory=Tally)

    def take(
        self,
        page: RawPage,
        *,
        window: Span | None = None,
        covered: Span | None = None,
        log: SyncWindow | None = None,
        also: Callable[[int], None] | None = None,
    ) -> int:
        """Archive a page, then load its records and move the checkpoint in one transaction.

        Args:
            window: where the reader stands when more pages follow; None when this was the last.
            covered: the time that is completely read once this page is in.
            also: called with the raw document's id inside the transaction.

        Raises: Malformed: the page cannot be read at all. Superseded: somebody else has claimed the stream.
        """
        raw_id = raw.archive(self.account, self.stream.flow, self.flow, page, now=self.now)
        run = LoadRun(now=self.now, raw_id=raw_id, stream_id=self.stream.pk)
        with self.step():
            if self.claim is not None:
                token = page.next_token if window else ""
                with connection.cursor() as cursor:
                    self.claim.checkpoint(cursor, window=window, token=token, covered=covered)
            before = Tally(self.tally.pages, self.tally.records, self.tally.written, self.tally.quarantined)
            loaded = self.load(page, run)
            if not self.flow.snapshot:
                days.add(self.stream, loaded.by_day)
            if log is not None:
                _note(log, before, self.tally)
            if also is not None:
                also(raw_id)
        return raw_id

    def load(self, page: RawPage, run: LoadRun) -> Loaded:
        """Translate and store one page; what cannot be read or stored is quarantined. Called in a transaction.

        Raises: Malformed: the page cannot be read at all.
        """
        read = self._read(page)
        loader = loaders[self.stream.flow]
        try:
            with transaction.atomic():
                loaded = loader.load(self.account, read.records, run=run)
        except CONTENT_ERRORS:
            loaded = self._one_by_one(loader, page, 0, len(read.records), run)
            if len(loaded.rejected) == len(read.records) > 1:
                raise  # not one of many records fits: that is our fault, not theirs
        rejected = [*read.rejected, *loaded.rejected]
        quarantine.put(self.stream, rejected, raw_id=run.raw_id, now=self.now)
        quarantine.resolve(self.stream, read.records, rejected, now=self.now)
        quarantine.note_drift(self.stream, read.drift, raw_id=run.raw_id, now=self.now)
        self.tally.pages += 1
        self.tally.records += len(read.records) + len(read.rejected)
        self.tally.written += loaded.written
        self.tally.quarantined += len(rejected)
        return loaded

    def _read(self, page: RawPage) -> _Read:
        read = _Read()
        for item in self.flow.translate(page):
            if isinstance(item, Rejected):
                read.rejected.append(item)
            elif isinstance(item, Drift):
                read.drift.append(item)
            else:
                read.records.append(item)
        return read

    def _one_by_one(self, loader: Loader, page: RawPage, start: int, end: int, run: LoadRun) -> Loaded:
        """Halve a page that does not fit until the records that do not fit stand alone.

        Each try reads the page anew, because a record may hold lines that can be read once only.
        """
        records = self._read(page).records[start:end]
        try:
            with transaction.atomic():
                return loader.load(self.account, records, run=run)
        except CONTENT_ERRORS as error:
            if len(records) <= 1:
                return Loaded(seen=len(records), rejected=[_rejected(record, error) for record in records])
        middle = (start + end) // 2
        left = self._one_by_one(loader, page, start, middle, run)
        return _sum(left, self._one_by_one(loader, page, middle, end, run))


def _sum(left: Loaded, right: Loaded) -> Loaded:
    by_day = dict(left.by_day)
    for day, count in right.by_day.items():
        by_day[day] = by_day.get(day, 0) + count
    return Loaded(
        seen=left.seen + right.seen,
        written=left.written + right.written,
        by_day=by_day,
        rejected=[*left.rejected, *right.rejected],
    )


def _rejected(record: Record, error: Exception) -> Rejected:
    ref = quarantine.ref_of(record)
    reason = error.message if isinstance(error, DomventasError | Malformed) else str(error).partition("\n")[0]
    return Rejected(path=ref, reason=reason, excerpt=repr(record).encode(), external_id=ref)


def _note(log: SyncWindow, before: Tally, after: Tally) -> None:
    log.pages += after.pages - before.pages
    log.records += after.records - before.records
    log.written += after.written - before.written
    log.quarantined += after.quarantined - before.quarantined
    log.save(update_fields=["pages", "records", "written", "quarantined"])
