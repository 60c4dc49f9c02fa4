"""The archive: every answer is kept as it came and committed before anybody interprets it."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import connection, transaction

from domventas.core import crypto, partitions, tenancy, traces
from domventas.core.traces import Wanted
from marketplaces.models import Account, RawDocument
from marketplaces.port import Flow, RawPage
from marketplaces.selectors.raw import body_of, without_people

#: In the context of an answer that was not believed.
SET_ASIDE: Final = "set_aside"
#: Answers with personal data keep it no longer than this.
PERSONAL_DATA_KEPT: Final = timedelta(days=30)
#: How JSON may spell a letter; the same one in capitals is spelled otherwise.
_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")


def archive(account: Account, flow_name: str, flow: Flow | None, page: RawPage, *, now: datetime) -> int:
    """Keep one answer, in a transaction of its own, and return its id; the same answer again is kept once.

    Answers of flows with personal data are encrypted and get a day on which that data is removed. `flow` is None where
    the marketplace has no such flow and people bring the document, as with statements that exist as files only.

    Raises: RuntimeError: called inside a transaction, whose rollback would take the bytes with it.
    """
    if connection.in_atomic_block:
        raise RuntimeError("archive() needs a transaction of its own")
    sha = hashlib.sha256(page.body).hexdigest()
    context = dict(page.context)
    # A report is known by its name: an equal one made later is news, the same one fetched again is not.
    identity = {"name": page.name} if flow is not None and flow.reports is not None else context
    key = _key(flow_name, sha, identity)
    known = RawDocument.objects.filter(account_id=account.pk, key=key, redacted_at=None).order_by("-fetched_on")
    raw_id = known.values_list("pk", flat=True).first()
    if raw_id is not None:
        RawDocument.objects.filter(pk=raw_id, last_fetched_at__lt=now).update(last_fetched_at=now)
        RawDocument.objects.filter(pk=raw_id, context__has_key=SET_ASIDE).update(context=context)  # said twice
        return raw_id
    today = now.astimezone(UTC).date()
    partitions.ensure(RawDocument, [today])
    is_personal = flow is not None and bool(flow.pii_paths)
    document = RawDocument.objects.create(
        account_id=account.pk,
        flow=flow_name,
        sha256=sha,
        key=key,
        name=page.name[:200],
        content_type=page.content_type[:120],
        context=context,
        size=len(page.body),
        is_encrypted=is_personal,
        body=_packed(page.body, client=tenancy.current().one if is_personal else None),
        fetched_at=now,
        fetched_on=today,
        last_fetched_at=now,
        purge_at=now + PERSONAL_DATA_KEPT if is_personal else None,
    )
    return document.pk


def due_by(raw_id: int, moment: datetime) -> None:
    """Let a document lose its personal data at that moment already, if it was to keep it longer."""
    RawDocument.objects.filter(pk=raw_id, redacted_at=None, purge_at__gt=moment).update(purge_at=moment)


def set_aside(raw_id: int) -> None:
    """Mark an answer whose content was not believed; it is kept, but never read again."""
    document = RawDocument.objects.get(pk=raw_id)
    RawDocument.objects.filter(pk=raw_id).update(context={**document.context, SET_ASIDE: "yes"})


def purge(*, now: datetime, limit: int = 500) -> int:
    """Remove personal data from documents whose day has come; returns how many. Hash and name stay.

    A document that cannot be read as JSON is emptied: what we cannot blank we may not keep. One whose key is missing
    is left, as nobody can read it, and named in the error.

    Raises: crypto.Unreadable: keys are missing; all other documents have been done.
    """
    due = RawDocument.objects.filter(redacted_at=None, purge_at__lte=now).order_by("purge_at", "pk")
    done, locked = 0, 0
    for document in due.iterator(chunk_size=50):
        try:
            _redact(document, now)
            done += 1
        except crypto.Unreadable:
            locked += 1
        if done == limit:
            return done
    if locked and not done:
        raise crypto.Unreadable(
            f"{locked} raw documents are due and cannot be opened; put their key back on the ring.",
            detail=f"{locked} documents",
        )
    return done


@traces.place("raw documents", models=["marketplaces.RawDocument"])
def forget_people(wanted: Wanted, now: datetime) -> int:
    """Blank every document in which one of these persons or their orders stands; returns how many."""
    accounts = {account for account, _number in wanted.orders}
    held = RawDocument.objects.filter(is_encrypted=True, redacted_at=None)
    if accounts:
        held = held.filter(account_id__in=accounts)
    done = 0
    for document in held.order_by("pk").iterator(chunk_size=50):
        numbers = {number for account, number in wanted.orders if account == document.account_id}
        if mentions(body_of(document), wanted.words | numbers):
            _redact(document, now)
            done += 1
    return done


def mentions(body: bytes, words: Iterable[str]) -> bool:
    """Whether one of the words stands in a document, spelled plainly or as JSON escapes it."""
    text = body.decode("utf-8", "replace").replace(r"\/", "/")
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text).casefold()
    folded = [word.casefold() for word in words]
    spelled = [json.dumps(word, ensure_ascii=False)[1:-1] for word in folded]
    return any(word in plain for word in (*folded, *spelled))


def _redact(document: RawDocument, now: datetime) -> None:
    """Raises: crypto.Unreadable."""
    with transaction.atomic():
        body = without_people(document)
        RawDocument.objects.filter(pk=document.pk).update(
            body=_packed(body, client=None), is_encrypted=False, redacted_at=now
        )


def _key(flow_name: str, sha: str, identity: dict[str, str]) -> str:
    parts = [flow_name, sha, json.dumps(identity, sort_keys=True)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _packed(body: bytes, *, client: int | None) -> bytes:
    packed = zlib.compress(body, 6)
    return packed if client is None else crypto.encrypt(packed, client=client).encode()
