"""The chain of seals: every minute it closes the entries that came, and a check finds whatever was touched since.

A seal covers a range of entry ids. It may go only as far as no transaction under way can still bring an entry with a
lower id: as far as the ids had come when every such transaction that was under way has ended. Where none is under
way that is at once; else the last seal remembers the place and the next one goes there. Ids that were rolled back are
gaps, and mean nothing.

Months that are over their time are dropped with the seals that hold nothing else; an anchor (see core.audit.anchors)
then vouches for where the rest begins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Count, Min

from domventas.core import crypto
from domventas.core.audit import anchors, marks
from domventas.core.models import AuditAnchor, AuditEntry, AuditSeal

#: Entries in one seal at most.
MOST: Final = 5000
START: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class Problem:
    """What was touched: in which seal, which entry (0 = the seal itself), and what is wrong in one word and in many.

    Kinds: `changed`, `missing`, `inserted`, `erased` (without a record of it), `seal`, `forged`, `chain`, `head`.
    """

    seal: int
    entry: int
    kind: str
    text: str


@dataclass(slots=True)
class Verified:
    """What a check saw. `retired`: seals that went with their entries. Problems in order of the chain."""

    seals: int = 0
    entries: int = 0
    retired: int = 0
    unsealed: int = 0
    unsealed_since: datetime | None = None
    head: str = ""
    problems: list[Problem] = field(default_factory=list)


def seal(*, now: datetime) -> int:
    """Seal the acting client's entries that are final; returns how many.

    Raises: RuntimeError: called inside a transaction, whose own entries would never become final.
    """
    if connection.in_atomic_block:
        raise RuntimeError("seal() needs transactions of its own")
    given_out, begun, ended = _place()
    last = AuditSeal.objects.order_by("-number").first()
    if ended >= begun:  # nobody is writing
        upto = given_out
    elif last is not None and (last.horizon_xact <= ended or last.horizon_xact > begun):
        upto = last.horizon_id  # `> begun`: restored into another cluster, where nothing of then is under way
    else:
        upto = last.last_id if last else 0
    sealed = 0
    while True:
        start = last.last_id if last else 0
        rows = list(marks.entries(_between(start, upto)[:MOST]))
        waits = last is None or last.horizon_id < given_out
        if not rows and (upto == given_out or not waits):
            return sealed
        end = rows[-1].row.pk if len(rows) == MOST else max(upto, start)
        last = _make(last, end, rows, horizon=(given_out, begun), now=now)
        sealed += len(rows)
        if len(rows) < MOST:
            return sealed


def verify(*, now: datetime, expect: str = "") -> Verified:
    """Recompute the acting client's chain from its anchor, or from its first seal where nothing was dropped yet.

    Args:
        expect: a head noted earlier, "number:digest"; it must still be in the chain.
    """
    done, anchor = Verified(), anchors.newest()
    before, seen = START, {}
    if anchor is not None:
        before, done.retired = anchor.digest, anchor.number
        seen[anchor.number] = anchor.digest
        done.problems += _anchor(anchor, now)
    recorded = _recorded()
    for one in AuditSeal.objects.filter(number__gt=done.retired).order_by("number").iterator(chunk_size=50):
        done.seals += 1
        done.problems += _chain(one, done.retired + done.seals, before)
        _entries(one, done, recorded, frozenset(anchor.gone if anchor else ()))
        before = one.digest
        seen[one.number] = one.digest
    last = max(seen, default=0)
    done.head = f"{last}:{seen.get(last, START)}"
    if expect:
        number, _, digest = expect.partition(":")
        if not number.isdecimal() or seen.get(int(number)) != digest:
            done.problems.append(Problem(last, 0, "head", f"The seal noted as {expect} is not in the chain."))
    _tail(done)
    return done


@dataclass(frozen=True, slots=True)
class Overdue:
    """Entries that should be sealed: how many, and when the first one came."""

    count: int
    since: datetime


def overdue(*, before: datetime) -> Overdue | None:
    """The acting client's entries that came before then and are in no seal; None when there are none. Two queries."""
    last = AuditSeal.objects.order_by("-number").values_list("last_id", flat=True).first() or 0
    found = AuditEntry.objects.filter(pk__gt=last, at__lt=before).aggregate(count=Count("pk"), since=Min("at"))
    return Overdue(found["count"], found["since"]) if found["count"] else None


def digest_of(number: int, before: str, found: Iterable[str]) -> str:
    """A seal's digest: over its number, the digest before it and the marks of its entries, "id:mark"."""
    return hashlib.sha256("\n".join([str(number), before, *found]).encode()).hexdigest()


def _place() -> tuple[int, int, int]:
    """(highest id given out, the newest transaction, all before this one have ended); asked in this order.

    Whoever was given one of those ids has begun before our own number is drawn. A snapshot's own upper end would not
    do: it is the newest transaction that has *ended*, and passes over those after it that are still under way.
    """
    asked = (
        "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM core_auditentry_id_seq",
        "SELECT pg_current_xact_id()::text::bigint",
        "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
    )
    found = []
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(sql)
            found.append(int(cursor.fetchone()[0]))
    return found[0], found[1], found[2]


def _between(after: int, upto: int) -> Any:
    return AuditEntry.objects.filter(pk__gt=after, pk__lte=upto).order_by("pk")


def _make(
    last: AuditSeal | None, end: int, rows: list[marks.Entry], *, horizon: tuple[int, int], now: datetime
) -> AuditSeal:
    number = last.number + 1 if last else 1
    found = [f"{entry.row.pk}:{entry.mark}" for entry in rows]
    digest = digest_of(number, last.digest if last else START, found)
    with transaction.atomic():
        return AuditSeal.objects.create(
            number=number, first_id=last.last_id if last else 0, last_id=end, count=len(rows), marks=found,
            digest=digest, stamp=digest, horizon_id=horizon[0], horizon_xact=horizon[1], sealed_at=now,
        )  # fmt: skip


def _chain(one: AuditSeal, place: int, before: str) -> Iterator[Problem]:
    """What is wrong with the seal itself."""
    if one.number != place:
        yield Problem(one.number, 0, "chain", f"Seal {place} is missing.")
    if one.digest != digest_of(one.number, before, one.marks):
        yield Problem(one.number, 0, "seal", f"Seal {one.number} does not fit its marks and the seal before it.")
    try:
        genuine = one.stamp == one.digest
    except crypto.Unreadable:
        genuine = False
    if not genuine:
        yield Problem(one.number, 0, "forged", f"Seal {one.number} was not stamped with a key of ours.")


def _anchor(anchor: AuditAnchor, now: datetime) -> Iterator[Problem]:
    """What is wrong with the place where the kept chain begins, and with what should be gone before it."""
    if not anchors.is_genuine(anchor):
        yield Problem(anchor.number, 0, "forged", f"The anchor of {anchor} was not stamped with a key of ours.")
    for pk in AuditEntry.objects.filter(pk__lte=anchor.last_id, day__gte=anchor.kept_from).values_list("pk", flat=True):
        yield Problem(anchor.number, pk, "inserted", f"Entry {pk} was put in before the kept part of the chain.")
    if anchor.made_at > now - anchors.SETTLES:
        return
    for pk in AuditEntry.objects.filter(day__lt=anchor.kept_from).values_list("pk", flat=True):
        yield Problem(anchor.number, pk, "inserted", f"Entry {pk} is of a month that was dropped.")


def _entries(one: AuditSeal, done: Verified, recorded: dict[int, set[str]], dropped: frozenset[int]) -> None:
    """Hold the entries of a seal against its marks."""
    sealed = dict(mark.split(":", 1) for mark in one.marks)
    problems, found = [], 0
    for entry in marks.entries(_between(one.first_id, one.last_id)):
        found += 1
        pk, mark = entry.row.pk, sealed.pop(str(entry.row.pk), None)
        hidden = {place for place, known in (entry.row.redaction or {}).items() if "hash" in known}
        if mark is None:
            problems.append(Problem(one.number, pk, "inserted", f"Entry {pk} was put in after seal {one.number}."))
        elif mark != entry.mark:
            problems.append(Problem(one.number, pk, "changed", f"Entry {pk} was changed after seal {one.number}."))
        elif hidden - recorded.get(pk, set()):
            problems.append(Problem(one.number, pk, "erased", f"Entry {pk} lost values and nothing tells why."))
    done.entries += found
    gone = [
        Problem(one.number, int(pk), "missing", f"Entry {pk} was deleted after seal {one.number}.")
        for pk in sealed
        if int(pk) not in dropped
    ]
    done.problems += sorted([*problems, *gone], key=lambda problem: problem.entry)


def _recorded() -> dict[int, set[str]]:
    """Places that were erased on record, by entry."""
    found: dict[int, set[str]] = {}
    rows = AuditEntry.objects.filter(table="core_auditentry", before__isnull=True).values_list("row", "after")
    for row, after in rows.iterator():
        found.setdefault(row, set()).update((after or {}).get("erased", ()))
    return found


def _tail(done: Verified) -> None:
    """What is not sealed yet."""
    last = AuditSeal.objects.order_by("-number").values_list("last_id", flat=True).first() or 0
    rest = AuditEntry.objects.filter(pk__gt=last).order_by("pk")
    done.unsealed = rest.count()
    first = rest.values_list("at", flat=True).first()
    done.unsealed_since = first
