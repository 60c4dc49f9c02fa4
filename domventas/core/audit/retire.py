"""Months of the audit that are over their time: every client's chain is checked and anchored before they go."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime

from django.db import connections, transaction
from django.db.models import Min

from domventas.core import tenancy
from domventas.core.audit import anchors, seals
from domventas.core.models import AuditAnchor, AuditEntry, AuditSeal, Client
from domventas.core.retention import BEFORE_MONTHS_GO

log = logging.getLogger(__name__)


def connect() -> None:
    """Let months of the audit go only when every client's chain has its anchor."""
    BEFORE_MONTHS_GO[AuditEntry] = ready


def ready(first_kept: date, *, now: datetime) -> bool:
    """Anchor every client's chain for dropping what is before `first_kept`; False = somebody's chain is not whole.

    All are checked before one is anchored: what was touched is evidence, and stays with everything around it.
    """
    clients = list(Client.objects.order_by("pk"))
    for client in clients:
        with tenancy.acting_for(client):
            trouble = _trouble(first_kept, now)
        if trouble:
            log.error("audit before %s is kept: client %s: %s", first_kept, client.slug, trouble)
            return False
    for client in clients:
        with tenancy.acting_for(client):
            anchor = _anchor(first_kept, now)
            if anchor is not None:
                _drop_seals(anchor)
    return True


def _trouble(first_kept: date, now: datetime) -> str:
    """Why the acting client's entries before that day may not go, in words; "" = they may."""
    if not AuditEntry.objects.filter(day__lt=first_kept).exists():
        return ""
    done = seals.verify(now=now)
    if done.problems:
        return done.problems[0].text
    if done.unsealed_since is not None and done.unsealed_since.astimezone(UTC).date() < first_kept:
        return "entries of that time are not sealed yet"
    return ""


def _anchor(first_kept: date, now: datetime) -> AuditAnchor | None:
    """Note what goes of the acting client's chain; None if nothing does."""
    anchor = anchors.newest()
    if anchor is not None and anchor.kept_from >= first_kept:
        return anchor
    old = AuditEntry.objects.filter(day__lt=first_kept)
    last = AuditSeal.objects.order_by("-number").first()
    if last is None or not old.exists():
        return anchor
    # The newest seal stays in any case: the next one follows it.
    kept = AuditEntry.objects.filter(day__gte=first_kept).aggregate(first=Min("pk"))["first"]
    whole = AuditSeal.objects.filter(number__lt=last.number)
    if kept is not None:
        whole = whole.filter(last_id__lt=kept)
    end = whole.order_by("-number").first()
    number, last_id, digest = (end.number, end.last_id, end.digest) if end else _start(anchor)
    fresh = AuditAnchor(
        number=number, last_id=last_id, digest=digest, kept_from=first_kept, made_at=now,
        gone=sorted({
            *old.filter(pk__gt=last_id).values_list("pk", flat=True),
            *(pk for pk in (anchor.gone if anchor else ()) if pk > last_id),
        }),
    )  # fmt: skip
    fresh.stamp = anchors.digest_of(fresh)
    fresh.save(force_insert=True)
    return fresh


def _start(anchor: AuditAnchor | None) -> tuple[int, int, str]:
    """Where the chain begins before any further seal goes."""
    return (anchor.number, anchor.last_id, anchor.digest) if anchor else (0, 0, seals.START)


def _drop_seals(anchor: AuditAnchor) -> None:
    """The seals an anchor stands for go, as ops: the application itself may remove none."""
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        cursor.execute(
            "DELETE FROM core_auditseal WHERE client_id = %s AND number <= %s", [anchor.client_id, anchor.number]
        )
