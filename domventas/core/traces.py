"""What is left of a person outside the one table for buyers: found wherever it stands, and taken out.

Two kinds of places. Text that people or marketplaces wrote (reasons, notes, titles of tickets, errors) is found through
the column's type, in every table of the client, so that a new one is never forgotten. Encrypted bytes can only be
searched by whoever opens them: their app declares a `Place`, and a test holds that every such column has one.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection, models, transaction

from domventas.core import tenancy
from domventas.core.audit.marks import ERASED
from domventas.core.audit.redact import redact
from domventas.core.checks import walled_models

#: Shorter values are no trace of anybody: they would take out half the words there are.
SHORTEST: Final = 6
#: Shorter columns hold codes.
_FREE: Final = 150
#: Words in one pass over the tables.
AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom to take out: their words, and the orders (account, number) that a document may name them by."""

    words: frozenset[str]
    orders: frozenset[tuple[int, str]] = frozenset()


Erase = Callable[[Wanted, datetime], int]


@dataclass(frozen=True, slots=True)
class Column:
    """One column with free text. `limit`: its longest value; `is_key`: two rows may not say the same."""

    table: str
    name: str
    is_json: bool
    limit: int | None
    is_key: bool


_places: dict[str, tuple[frozenset[str], Erase]] = {}


def place(name: str, *, models: Collection[str]) -> Callable[[Erase], Erase]:
    """Declare who takes a person out of encrypted bytes; `models` are those whose bytes it looks after.

    The function gets (wanted, now), writes for the acting client, and returns how many rows lost something.
    """

    def declare(erase: Erase) -> Erase:
        _places[name] = frozenset(models), erase
        return erase

    return declare


def places() -> Mapping[str, frozenset[str]]:
    """The declared places, with the models they look after."""
    return {name: labels for name, (labels, _erase) in _places.items()}


def columns() -> list[Column]:
    """Every column that people or marketplaces may have written a buyer's name into."""
    found = []
    for model in walled_models():
        if model.free_text == () or "UPDATE" not in model.app_may:
            continue
        keys = {name for c in model._meta.constraints if isinstance(c, models.UniqueConstraint) for name in c.fields}
        for field in model._meta.concrete_fields:
            if _is_free(field) and (model.free_text is None or field.name in model.free_text):
                is_json = isinstance(field, models.JSONField)
                found.append(
                    Column(model._meta.db_table, str(field.column), is_json, field.max_length, field.name in keys)
                )
    return found


def erase(wanted: Wanted, *, why: str, now: datetime) -> dict[str, int]:
    """Take the persons out of every place, for the acting client; returns rows that lost something, by place.

    `why` goes into the audit and may not name anybody. Raises: crypto.Unreadable: a place cannot be searched.
    """
    done: Counter[str] = Counter()
    for name, (_labels, erase_there) in sorted(_places.items()):
        done[name] += erase_there(wanted, now)
    done.update(erase_text(wanted.words, why=why))
    return {name: count for name, count in done.items() if count}


def erase_text(words: Collection[str], *, why: str) -> dict[str, int]:
    """Take the words out of all free text and out of the audit; returns rows that lost something, by column."""
    done: Counter[str] = Counter()
    chosen = sorted(word for word in words if len(word) >= SHORTEST)
    for start in range(0, len(chosen), AT_ONCE):
        some = chosen[start : start + AT_ONCE]
        with transaction.atomic():
            for column in columns():
                done[f"{column.table}.{column.name}"] += _erase_column(column, some)
            done["core_auditentry"] += redact(some, why=why)
    return {name: count for name, count in done.items() if count}


def masked(text: str, words: Collection[str]) -> str:
    """The text without the words: for reasons and notes that are about to be kept."""
    wanted = [word for word in words if len(word) >= SHORTEST]
    return re.sub(_pattern(wanted), ERASED, text, flags=re.IGNORECASE) if wanted else text


def _is_free(field: models.Field[object, object]) -> bool:
    if getattr(field, "encrypted", False) or field.choices or field.name == "actor" or field.name.endswith("_by"):
        return False
    if isinstance(field, models.CharField):
        return (field.max_length or _FREE) >= _FREE
    return isinstance(field, models.TextField | models.JSONField)


def _erase_column(column: Column, words: list[str]) -> int:
    name = f'"{column.name}"'
    spelled = [json.dumps(word, ensure_ascii=False)[1:-1] for word in words] if column.is_json else words
    fresh = f"regexp_replace({name}::text, %(words)s, '{ERASED}', 'gi')"
    if column.is_key:
        fresh = f"'{ERASED} ' || id"
    if column.limit:
        fresh = f"left({fresh}, {column.limit})"
    kind = "::jsonb" if column.is_json else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f'UPDATE "{column.table}" SET {name} = ({fresh}){kind}'
            f" WHERE client_id = %(client)s AND {name}::text ~* %(words)s",
            {"client": tenancy.current().one, "words": _pattern(spelled)},
        )
        return cursor.rowcount


def _pattern(words: list[str]) -> str:
    """Any of the words, the longest first; PostgreSQL and Python read it alike."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
