"""From one answer to rows: archived, translated, and loaded together with the checkpoint, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from django.db import DataError, IntegrityError, connection, transaction

from domventas.core.errors import DomventasError
from marketplaces.errors import Malformed, Unavailable
from marketplaces.loaders import Loaded, Loader, LoadRun, loaders
from marketplaces.models import Account, Stream, SyncWindow
from marketplaces.port import Flow, RawPage
from marketplaces.records import Drift, Record, Rejected
from marketplaces.services import days, quarantine, raw
from marketplaces.services.claims import Claim, Span

Step = Callable[[], AbstractContextManager[Any]]

#: Answers to one question that are looked at before a marketplace that contradicts itself is left for later.
ANSWERS: Final = 4

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
class _Doubted(Exception):
    """A page holds what cannot be read or does not add up, and nobody has confirmed it."""

    about: frozenset[str]
    raw_id: int


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
        log: SyncWindow | None = None,
        again: Callable[[], RawPage] | None = None,
        also: Callable[[int], None] | None = None,
    ) -> RawPage:
        """Archive a page, then load its records and move the checkpoint in one transaction.

        What cannot be read or does not add up is believed only when two answers say it: a page that was spoiled on its
        way must not count as read. The page that was taken in is returned.

        Args:
            window: the time being read; it counts as read completely once its last page is in.
            again: asks for the same page once more; without it everything is believed.
            also: called with the raw document's id inside the transaction.

        Raises: Malformed: the page cannot be read at all. Unavailable: it comes differently each time. Superseded:
            somebody else has claimed the stream.
        """
        believed: frozenset[str] | None = frozenset() if again else None
        for _ in range(ANSWERS):
            try:
                self._take(page, believed, window=window, log=log, also=also)
            except _Doubted as doubt:
                raw.set_aside(doubt.raw_id)
                believed = (believed or frozenset()) | doubt.about
                page = again() if again else page
            else:
                return page
        raise Unavailable("The marketplace answers one and the same question differently each time.")

    def _take(
        self,
        page: RawPage,
        believed: frozenset[str] | None,
        *,
        window: Span | None,
        log: SyncWindow | None,
        also: Callable[[int], None] | None,
    ) -> None:
        """One transaction. Raises: _Doubted: it holds doubtful things that are not among the believed ones."""
        raw_id = raw.archive(self.account, self.stream.flow, self.flow, page, now=self.now)
        run = LoadRun(now=self.now, raw_id=raw_id, stream_id=self.stream.pk)
        before, held = replace(self.tally), self.claim and replace(self.claim)
        is_last = not page.next_token
        try:
            with self.step():
                if self.claim is not None:
                    with connection.cursor() as cursor:
                        self.claim.checkpoint(
                            cursor,
                            window=None if is_last else window,
                            token="" if is_last or not window else page.next_token,
                            covered=window if is_last and not self.flow.snapshot else None,
                        )
                loaded = self.load(page, run, believed=believed)
                if not self.flow.snapshot:
                    days.add(self.stream, loaded.by_day)
                if log is not None:
                    _note(log, before, self.tally)
                if also is not None:
                    also(raw_id)
        except Exception:  # rolled back, so nothing was counted and the fence stands where it stood
            for name in ("pages", "records", "written", "quarantined"):
                setattr(self.tally, name, getattr(before, name))
            if self.claim is not None and held is not None:
                self.claim.version, self.claim.window, self.claim.token = held.version, held.window, held.token
            raise

    def load(self, page: RawPage, run: LoadRun, *, believed: frozenset[str] | None = None) -> Loaded:
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
        if believed is not None:
            self._doubt(rejected, loaded.doubts, believed, run)
        quarantine.put(self.stream, rejected, raw_id=run.raw_id, now=self.now)
        quarantine.resolve(self.stream, read.records, rejected, raw_id=run.raw_id, now=self.now)
        quarantine.note_drift(self.stream, read.drift, raw_id=run.raw_id, now=self.now)
        self.tally.pages += 1
        self.tally.records += len(read.records) + len(read.rejected)
        self.tally.written += loaded.written
        self.tally.quarantined += len(rejected)
        return loaded

    def _doubt(
        self, rejected: Sequence[Rejected], doubts: Sequence[str], believed: frozenset[str], run: LoadRun
    ) -> None:
        """Let nothing pass that is news and that nobody has said before. Raises: _Doubted."""
        waiting = quarantine.is_waiting(self.stream, rejected)
        news = [item for item in rejected if quarantine.fingerprint(item) not in waiting]
        about = frozenset([*doubts, *(repr((x.external_id, x.reason, x.excerpt)) for x in news)])
        if about - believed and run.raw_id is not None:
            raise _Doubted(about, run.raw_id)

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
        doubts=[*left.doubts, *right.doubts],
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
