"""Buyers' data: shown for a reason, kept by law, erased on request, and gone on its day; totals and countries stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from domventas.core import access, tenancy, traces
from domventas.core.crypto import Unreadable
from domventas.core.errors import Refused
from domventas.core.models import PiiAccess
from domventas.core.traces import Wanted
from orders.models import BuyerContact, Erasure, Order

#: Contacts purged in one pass over the tables.
BATCH: Final = 200
#: What of a contact tells of one person; a town or a country does not.
_OWN: Final = ("name", "email", "phone", "street", "street2")


class NothingKept(Refused):
    """The buyer's data is gone already."""

    message = "Nothing is kept of this buyer any more."


def reveal(
    row: BuyerContact, *, reason: str, now: datetime, way: PiiAccess.Way = PiiAccess.Way.SHOWN
) -> dict[str, str]:
    """Everything stored of a buyer, written down before it is given out.

    Raises: access.NoReason. NothingKept. core.crypto.Unreadable: the key is missing.
    """
    found: dict[str, str] = row.contact or {}
    if not found:
        raise NothingKept
    label = row.order.external_id
    access.note(row, fields=found, reason=reason, now=now, label=label, way=way, words=words_of([found]))
    return found


def hold(rows: Iterable[BuyerContact], *, until: datetime, reason: str, now: datetime) -> int:
    """Keep these contacts although their day comes, because a law or a dispute demands it; returns how many.

    Raises: access.NoReason. Refused: the end lies in the past.
    """
    if until <= now:
        raise Refused("The end of the hold lies in the past.")
    kept, actor = (
        access.reason_of(reason, words=words_of(map(_contact_of, rows := list(rows)))),
        tenancy.current().actor,
    )
    held = BuyerContact.objects.filter(pk__in=[row.pk for row in rows], purged_at=None)
    return held.update(hold_until=until, hold_reason=kept, hold_by=actor)


def release(rows: Iterable[BuyerContact]) -> int:
    """End a hold: the contacts vanish on their day, or in the next night if it has passed."""
    held = BuyerContact.objects.filter(pk__in=[row.pk for row in rows], hold_until__isnull=False)
    return held.update(hold_until=None)


def purge(*, now: datetime) -> int:
    """Erase the contacts that are due and what stands of these buyers in any text; no later page brings them back.

    Raw documents go by themselves, with the first of the buyers in them. Returns: how many were erased.
    """
    due = BuyerContact.objects.filter(purge_at__lte=now, purged_at=None).exclude(hold_until__gt=now)
    done = 0
    while rows := list(due.select_related("order").order_by("pk")[:BATCH]):
        traces.erase_text(words_of(map(_contact_of, rows)), why="retention")
        done += _forget(rows, now)
    return done


def erase(rows: Iterable[BuyerContact], *, reason: str, now: datetime) -> Erasure:
    """Erase these buyers, in all their orders, wherever they stand, and keep the proof of it.

    Contacts under a hold stay and are named in the proof.
    Raises: access.NoReason. core.crypto.Unreadable: a key is missing, so nobody can say where the person stands.
    """
    rows = list(rows)
    asked = [row.contact or {} for row in rows]
    words = words_of(asked)
    kept_reason = access.reason_of(reason, words=words)
    found = {row.pk: row for row in [*rows, *_same_people(asked)]}
    kept = [row for row in found.values() if row.hold_until and row.hold_until > now]
    gone = [row for row in found.values() if row not in kept]
    words |= words_of(map(_contact_of, gone))
    orders = frozenset((row.order.account_id, row.order.external_id) for row in gone)
    fields = sorted({name for row in gone for name in _contact_of(row)})
    places = traces.erase(Wanted(words, orders), why="erased on request", now=now)
    with transaction.atomic():
        places["orders_buyercontact.contact"] = _forget(gone, now)
        return Erasure.objects.create(
            at=now, actor=tenancy.current().actor, reason=kept_reason, orders=sorted(number for _a, number in orders),
            fields=fields, places=places,
            kept=[
                {"order": row.order.external_id, "reason": row.hold_reason, "until": f"{row.hold_until:%Y-%m-%d}"}
                for row in kept
            ],
        )  # fmt: skip


def words_of(contacts: Iterable[Mapping[str, str]]) -> frozenset[str]:
    """What of these contacts would tell of the person wherever it stood; a single first name does not."""
    found = {str(contact.get(name, "")).strip() for contact in contacts for name in _OWN if contact.get(name)}
    return frozenset(
        word for word in found if len(word) >= traces.SHORTEST and not word.isalpha() and not _is_code(word)
    )


def _is_code(word: str) -> bool:
    """So few digits stand in many a number that is nobody's telephone."""
    return word.isdecimal() and len(word) < 9


def _same_people(asked: list[dict[str, str]]) -> list[BuyerContact]:
    """Contacts of the same e-mail address, or of the same name at the same street, opened one by one."""
    keys = {key for contact in asked for key in _keys(contact)}
    if not keys:
        return []
    rows = BuyerContact.objects.filter(Q(purged_at=None), contact__isnull=False).select_related("order")
    return [row for row in rows.iterator(chunk_size=500) if keys & set(_keys(row.contact or {}))]


def _keys(contact: Mapping[str, str]) -> list[tuple[str, ...]]:
    email, name, street = (contact.get(part, "").strip().casefold() for part in ("email", "name", "street"))
    return [key for key in ((email,), (name, street)) if all(key)]


def _contact_of(row: BuyerContact) -> dict[str, str]:
    try:
        return row.contact or {}
    except Unreadable:
        return {}  # nobody can read it; it goes all the same


def _forget(rows: Iterable[BuyerContact], now: datetime) -> int:
    keys = [row.pk for row in rows]
    done = BuyerContact.objects.filter(pk__in=keys, purged_at=None).update(contact=None, purged_at=now)
    # Whoever brings these orders again is looked at in full: the document they stand in has to go, too.
    Order.objects.filter(buyer_contacts__in=keys).update(digest="")
    return done
