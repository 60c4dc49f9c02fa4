"""What could not be read or stored, and what nobody had described: kept, counted and shown, while the rest goes on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from domventas.core import crypto, tenancy, traces
from domventas.core.traces import Wanted
from marketplaces.errors import Malformed
from marketplaces.models import Quarantined, Stream
from marketplaces.records import Drift, Record, Rejected
from marketplaces.services.raw import mentions

#: Longest excerpt kept of a record [bytes]; the whole is in the raw document.
_EXCERPT: Final = 8192
#: How long the bytes of a record are kept after it was last seen.
EXCERPTS_KEPT: Final = timedelta(days=30)
#: The path of a report that was given up as a whole: reading what is kept of it does not bring it.
REPORT: Final = "report"
#: The id under which an answer waits that could not be read at all.
_ANSWER: Final = "answer to "

REJECTED = """
INSERT INTO marketplaces_quarantined AS q (client_id, account_id, flow, raw_id, path, external_id, reason, excerpt,
    first_seen_at, last_seen_at, seen_count, fingerprint)
SELECT %(client)s, %(account)s, %(flow)s, %(raw)s, path, external_id, reason, excerpt, %(now)s, %(now)s, 1, fingerprint
FROM unnest(%(paths)s::text[], %(ids)s::text[], %(reasons)s::text[], %(excerpts)s::bytea[], %(fingerprints)s::text[])
    AS given (path, external_id, reason, excerpt, fingerprint) ORDER BY fingerprint
ON CONFLICT (client_id, account_id, flow, fingerprint) DO UPDATE SET seen_count = q.seen_count + 1,
    last_seen_at = excluded.last_seen_at, raw_id = excluded.raw_id, path = excluded.path, reason = excluded.reason,
    excerpt = excluded.excerpt, resolved_at = NULL
"""
DRIFT = """
INSERT INTO marketplaces_schemadrift AS d (client_id, account_id, flow, path, value, first_seen_at, last_seen_at,
    seen_count, raw_id)
SELECT %(client)s, %(account)s, %(flow)s, path, value, %(now)s, %(now)s, count, %(raw)s
FROM unnest(%(paths)s::text[], %(values)s::text[], %(counts)s::int[]) AS given (path, value, count) ORDER BY path, value
ON CONFLICT (client_id, account_id, flow, path, value) DO UPDATE SET seen_count = d.seen_count + excluded.seen_count,
    last_seen_at = excluded.last_seen_at, raw_id = excluded.raw_id
"""


def put(stream: Stream, rejected: Sequence[Rejected], *, raw_id: int | None, now: datetime) -> None:
    """Keep records that could not be read or stored, their bytes encrypted; the same record again is counted."""
    found = {fingerprint(item): item for item in rejected}
    if not found:
        return
    _run(
        REJECTED,
        stream,
        raw_id,
        now,
        paths=[item.path[:300] for item in found.values()],
        ids=[item.external_id[:200] for item in found.values()],
        reasons=[item.reason[:2000] for item in found.values()],
        excerpts=[
            crypto.encrypt(item.excerpt[:_EXCERPT], client=tenancy.current().one).encode() for item in found.values()
        ],
        fingerprints=list(found),
    )


def is_waiting(stream: Stream, items: Iterable[Rejected]) -> set[str]:
    """The fingerprints among these records' that wait in the quarantine already."""
    prints = [fingerprint(item) for item in items]
    kept = Quarantined.objects.filter(account=stream.account_id, flow=stream.flow, resolved_at=None)
    return set(kept.filter(fingerprint__in=prints).values_list("fingerprint", flat=True)) if prints else set()


def resolve(
    stream: Stream, records: Iterable[Record], rejected: Collection[Rejected], *, raw_id: int | None, now: datetime
) -> None:
    """Records that can be stored now leave the quarantine: by their id, or because their document reads well.

    `raw_id` is the document just read; all that is in it is in `records` and `rejected`.
    """
    kept = Quarantined.objects.filter(account=stream.account_id, flow=stream.flow, resolved_at=None)
    waiting = list(kept.values_list("pk", "external_id", "raw_id", "path", "fingerprint"))
    if not waiting:
        return
    fine = {ref_of(record) for record in records} - {item.external_id for item in rejected} - {""}
    wrong = {fingerprint(item) for item in rejected}
    done = [
        pk
        for pk, ref, document, path, mark in waiting
        if ref in fine or (document is not None and document == raw_id and mark not in wrong and path != REPORT)
    ]
    if done:
        kept.filter(pk__in=done).update(resolved_at=now)


def put_answer(stream: Stream, error: Malformed, *, now: datetime) -> None:
    """Keep the beginning of an answer that could not be read at all, without its secrets."""
    operation = error.operation or stream.flow
    unread = Rejected(
        path=error.path or operation,
        reason=str(error),
        excerpt=error.excerpt.encode(),
        external_id=f"{_ANSWER}{operation}",
    )
    put(stream, [unread], raw_id=None, now=now)


def resolve_answers(stream: Stream, *, now: datetime) -> None:
    """The stream was read to its end: no answer is unreadable any more."""
    kept = Quarantined.objects.filter(account=stream.account_id, flow=stream.flow, resolved_at=None)
    kept.filter(external_id__startswith=_ANSWER).update(resolved_at=now)


def note_drift(stream: Stream, drift: Iterable[Drift], *, raw_id: int | None, now: datetime) -> None:
    """Count what the provider's description does not name."""
    found = Counter((item.path[:300], item.value[:300]) for item in drift)
    if not found:
        return
    _run(
        DRIFT,
        stream,
        raw_id,
        now,
        paths=[path for path, _ in found],
        values=[value for _, value in found],
        counts=list(found.values()),
    )


def excerpt_of(item: Quarantined) -> bytes:
    """The record's bytes, for those who may read personal data; none once they were removed.

    Raises: core.crypto.Unreadable.
    """
    if not item.excerpt:
        return b""
    return crypto.decrypt(bytes(item.excerpt).decode(), client=tenancy.current().one)


def purge(*, now: datetime) -> int:
    """Remove the bytes of records last seen so long ago that the documents they stand in have lost theirs.

    Place and reason stay, so that people still see what went wrong. Returns: how many.
    """
    due = Quarantined.objects.filter(last_seen_at__lte=now - EXCERPTS_KEPT).exclude(excerpt=b"")
    return due.update(excerpt=b"")


@traces.place("quarantine", models=["marketplaces.Quarantined"])
def forget_people(wanted: Wanted, now: datetime) -> int:
    """Remove the bytes of records in which one of these persons or their orders stands; returns how many."""
    done = []
    for item in Quarantined.objects.exclude(excerpt=b"").iterator(chunk_size=200):
        numbers = {number for account, number in wanted.orders if account == item.account_id}
        if item.external_id in numbers or mentions(excerpt_of(item), wanted.words | numbers):
            done.append(item.pk)
    return Quarantined.objects.filter(pk__in=done).update(excerpt=b"")


def fingerprint(item: Rejected) -> str:
    """One record, wherever in its page it stands today."""
    identity = item.external_id.encode() or item.excerpt or item.path.encode()
    return hashlib.sha256(identity).hexdigest()


def ref_of(record: Record) -> str:
    """The source's own id of a record."""
    names = ("external_id", "settlement_ref", "offer_ref")
    return next((str(getattr(record, name)) for name in names if hasattr(record, name)), "")


def _run(sql: str, stream: Stream, raw_id: int | None, now: datetime, **lists: list[Any]) -> None:
    known: dict[str, Any] = {
        "client": stream.client_id,
        "account": stream.account_id,
        "flow": stream.flow,
        "raw": raw_id,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(sql, known | lists)
