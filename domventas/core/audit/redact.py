"""Taking a person out of the audit: the values go, their hashes stay, and an entry says so."""

from __future__ import annotations

import json
from collections.abc import Collection

from django.db import connection
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from domventas.core.audit import marks
from domventas.core.models import AuditEntry


def redact(words: Collection[str], *, why: str) -> int:
    """Erase every value in the acting client's audit that holds one of the words, whatever their capitals.

    Returns: how many entries lost values.
    """
    folded = [word.casefold() for word in words if word]
    if not folded:
        return 0
    texts = AuditEntry.objects.annotate(b=Cast("before", TextField()), a=Cast("after", TextField()))
    holds = Q()
    for word in {*folded, *filter(None, words)}:  # the server's capitals leave ß alone, ours make it ss
        spelled = json.dumps(word, ensure_ascii=False)[1:-1]
        holds |= Q(b__icontains=spelled) | Q(a__icontains=spelled)
    done = 0
    for entry in list(marks.entries(texts.filter(holds).order_by("pk"))):
        places = [place for place, value in entry.values() if _holds(value, folded)]
        if places and _erase(entry, places, why):
            done += 1
    return done


def _erase(entry: marks.Entry, places: list[str], why: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT core_redact_audit(%s, %s, %s, %s, %s)",
            [entry.row.pk, entry.row.day, places, json.dumps(entry.redacted(places)), why],
        )
        return bool(cursor.fetchone()[0])


def _holds(value: object, folded: list[str]) -> bool:
    text = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)).casefold()
    return any(word in text for word in folded)
