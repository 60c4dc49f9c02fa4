"""The streams of an account: made with it, switched by people, and told how their last reading went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from domventas.core.errors import DomventasError
from marketplaces.errors import BorderError, Forbidden
from marketplaces.models import Account, Credential, Stream
from marketplaces.registry import connectors
from marketplaces.services import retries, rights
from marketplaces.services.claims import Claim, claim


@dataclass(frozen=True, slots=True)
class Failure:
    """What a reading met: in words, its kind, and how long the stream is left alone (None = until its next turn)."""

    words: str
    kind: str
    wait: timedelta | None


def ensure(account: Account) -> list[Stream]:
    """One stream per flow the account's marketplace has; new ones are made, none is removed."""
    flows = connectors[account.channel].flows
    have = set(Stream.objects.filter(account=account).values_list("flow", flat=True))
    Stream.objects.bulk_create(
        [Stream(account=account, flow=flow) for flow in flows if flow not in have], ignore_conflicts=True
    )
    return list(Stream.objects.filter(account=account, flow__in=flows).order_by("flow"))


def pause(streams: list[Stream]) -> int:
    """Stop reading these streams until somebody resumes them; a reading under way ends its page."""
    return Stream.objects.filter(pk__in=[stream.pk for stream in streams]).update(is_paused=True)


def resume(streams: list[Stream]) -> int:
    """Read these streams again; what was missed meanwhile is a gap and will be asked for."""
    return Stream.objects.filter(pk__in=[stream.pk for stream in streams]).update(is_paused=False, not_before=None)


def succeeded(claim: Claim, *, complete_until: datetime | None, now: datetime) -> None:
    """The reading came to its end. Does nothing if somebody else has claimed the stream since."""
    _tell(
        claim,
        "last_success_at = %(now)s, complete_until = coalesce(%(complete)s, complete_until), failures = 0,"
        " last_error = '', last_error_kind = '', not_before = NULL",
        {"now": now, "complete": complete_until},
    )


def failed(account: Account, claim: Claim, error: Exception, *, now: datetime) -> Failure:
    """Keep what went wrong, in words, and how long the stream is left alone. A refused sign-in stops the account, a
    missing right this stream alone.

    Being asked to wait is no failure.
    """
    words, kind = in_words(error), retries.kind_of(error)
    if isinstance(error, Forbidden):
        words = rights.missing(account, Stream.objects.values_list("flow", flat=True).get(pk=claim.stream_id), error)
    more = int(retries.counts(error))
    failures = Stream.objects.values_list("failures", flat=True).get(pk=claim.stream_id) + more
    wait = retries.wait(error, failures=failures)
    _tell(
        claim,
        "last_error = %(words)s, last_error_kind = %(kind)s, last_error_at = %(now)s, failures = %(failures)s,"
        " not_before = %(not_before)s",
        {"words": words, "kind": kind, "now": now, "failures": failures, "not_before": now + wait if wait else None},
    )
    if retries.rule_of(error).then == retries.Then.STOP_ACCOUNT:
        sign_in_refused(account, words, now=now)
    return Failure(words, kind, wait)


def sign_in_refused(account: Account, words: str, *, now: datetime) -> None:
    """Stop an account whose sign-in was refused, until people have renewed the consent or the secrets.

    Does nothing if the secrets were replaced after `now`, the moment the refused work began.
    """
    newer = Credential.objects.filter(account=account, set_at__gt=now)
    stopped = Account.objects.filter(pk=account.pk).exclude(pk__in=newer.values("account_id"))
    if stopped.update(status=Account.Status.BROKEN, status_note=words[:300]):
        account.status, account.status_note = Account.Status.BROKEN, words[:300]


def reread(stream: Stream, *, since: datetime, now: datetime) -> None:
    """Let everything from `since` on count as unread, so that the next reading asks for it again; audited.

    Raises: Busy: the stream is being read just now.
    """
    with claim(stream, now=now) as held, transaction.atomic(), connection.cursor() as cursor:
        held.uncover(cursor, [(since, max(now, since))])
        Stream.objects.filter(pk=stream.pk).update(asked_at=now, asked_since=since)


def in_words(error: Exception) -> str:
    """What happened, for an operations person; our own faults are named as ours."""
    if isinstance(error, BorderError):
        return str(error)[:500]
    if isinstance(error, DomventasError):
        return error.message[:500]
    return f"Our own program failed at this answer: {type(error).__name__}: {error}"[:500]


def _tell(claim: Claim, change: str, values: dict[str, Any]) -> None:
    known: dict[str, Any] = {"id": claim.stream_id, "client": claim.client_id, "version": claim.version}
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE marketplaces_stream SET {change}"
            " WHERE id = %(id)s AND client_id = %(client)s AND version = %(version)s",
            values | known,
        )
