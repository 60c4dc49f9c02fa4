"""Which key of the ring each secret at rest was made with, and the move of all of them to the key that writes.

The columns are found through their field classes, so a new one is never forgotten. Nothing else remembers how far a
move has come: what is still on another key is what is left to do, so it may be stopped and started at any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.apps import apps
from django.db import connections, transaction
from django.db.models import BinaryField, Model

from domventas.core import crypto, tenancy
from domventas.core.crypto import Unreadable
from domventas.core.models import Client, ClientModel

#: Rows moved in one transaction.
BATCH: Final = 500
#: How a token begins, whatever it holds.
_TOKEN: Final = "^[0-9a-f]{8}:$"  # noqa: S105 - a pattern
#: Stands for the key of a value that is no token at all.
DAMAGED: Final = "no token"


@dataclass(frozen=True, slots=True)
class Column:
    """One column with secrets. `is_bytes`: some of its values may lie in plain. `owner`: SQL of whose keys seal it."""

    table: str
    name: str
    is_bytes: bool
    owner: str = "client_id"

    @property
    def start(self) -> str:
        """SQL: the first nine characters, in which a token names its key."""
        name = f'"{self.name}"'
        return f"encode(substring({name} FROM 1 FOR 9), 'escape')" if self.is_bytes else f"left({name}, 9)"


@dataclass(slots=True)
class Rotated:
    """What a move did: values moved, and those no key of ours opens, by column; `left` is still on other keys."""

    moved: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    left: dict[str, dict[str, int]] = field(default_factory=dict)


def columns() -> list[Column]:
    """Every column with secrets, by table and name."""
    found = [
        Column(model._meta.db_table, str(one.column), isinstance(one, BinaryField), _owner(model))
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy
        for one in model._meta.concrete_fields
        if getattr(one, "encrypted", False)
    ]
    return sorted(found, key=lambda column: (column.table, column.name))


def held(*, using: str = "ops") -> dict[str, dict[str, int]]:
    """Values by column ("table.column") and key id, of all clients; columns without values are left out.

    `using` is `ops` or `owner`, who see all clients at once, or `default`, which asks for one after the other.
    """
    found: dict[str, Counter[str]] = {}
    for column in columns():
        for _turn in _turns(using if column.owner == "client_id" else "owner"):
            for key, count in _held(column, using):
                found.setdefault(f"{column.table}.{column.name}", Counter())[key] += count
    return {name: dict(sorted(keys.items())) for name, keys in found.items()}


def left(*, using: str = "ops") -> dict[str, dict[str, int]]:
    """What is not on the writing key yet, by column and key id; empty when a move is complete."""
    return _without(held(using=using), {crypto.current_key_id()})


def missing(*, using: str = "ops") -> dict[str, dict[str, int]]:
    """What no key of the ring opens, by column and key id; empty when all is well."""
    return _without(held(using=using), set(crypto.ring_key_ids()))


def rotate(*, batch: int = BATCH, told: Callable[[str, int], None] = lambda column, moved: None) -> Rotated:
    """Move every secret to the writing key, batch by batch, as ops; a value changed meanwhile keeps the change.

    What cannot be opened is counted and left as it is. `told(column, moved)` after each batch.
    Raises: Unreadable: the ring is empty.
    """
    done = Rotated()
    crypto.current_key_id()
    for column in columns():
        name, after = f"{column.table}.{column.name}", 0
        while rows := _batch(column, after, batch):
            after = rows[-1][0]
            moved, unreadable = _move(column, rows)
            done.moved[name] += moved
            done.unreadable[name] += unreadable
            told(name, done.moved[name])
    done.left = left()
    return done


def _owner(model: type[Model]) -> str:
    """A client's rows are sealed for it, what belongs to people for nobody."""
    return "client_id" if issubclass(model, ClientModel) else "0"


def _turns(using: str) -> Iterator[None]:
    """One turn where all clients are seen at once, else one for each."""
    if using != "default":
        yield
        return
    for client in Client.objects.order_by("pk"):
        with tenancy.acting_for(client):
            yield


def _held(column: Column, using: str) -> list[tuple[str, int]]:
    kind = f"CASE WHEN {column.start} ~ '{_TOKEN}' THEN left({column.start}, 8) ELSE '{DAMAGED}' END"
    only = f"{column.start} ~ '{_TOKEN}'" if column.is_bytes else f'"{column.name}" IS NOT NULL'
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f'public."{column.table}"'])
        if cursor.fetchone()[0] is None:
            return []  # the check runs before the first migration, too
        cursor.execute(f'SELECT {kind}, count(*) FROM "{column.table}" WHERE {only} GROUP BY 1')
        return [(str(key), int(count)) for key, count in cursor.fetchall()]


def _batch(column: Column, after: int, size: int) -> list[tuple[int, int, Any]]:
    """(id, client, token) of the next values that are not on the writing key."""
    with connections["ops"].cursor() as cursor:
        cursor.execute(
            f'SELECT id, {column.owner}, "{column.name}" FROM "{column.table}" WHERE id > %s'
            f" AND {column.start} ~ '{_TOKEN}' AND left({column.start}, 8) <> %s ORDER BY id LIMIT %s",
            [after, crypto.current_key_id(), size],
        )
        return list(cursor.fetchall())


def _move(column: Column, rows: list[tuple[int, int, Any]]) -> tuple[int, int]:
    """(moved, unreadable) of one batch, in one transaction; the old value in the condition guards a newer one."""
    ids, olds, news, unreadable = [], [], [], 0
    for pk, client, value in rows:
        old = bytes(value).decode() if column.is_bytes else str(value)
        try:
            new = crypto.rotate(old, client=client)
        except Unreadable:
            unreadable += 1
            continue
        ids.append(pk)
        olds.append(old.encode() if column.is_bytes else old)
        news.append(new.encode() if column.is_bytes else new)
    if not ids:
        return 0, unreadable
    kind = "bytea" if column.is_bytes else "text"
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        cursor.execute("SELECT set_config('domventas.actor', 'command:rotate_keys', true)")  # for the audit
        cursor.execute(
            f'UPDATE "{column.table}" AS t SET "{column.name}" = given.new'
            f" FROM unnest(%s::bigint[], %s::{kind}[], %s::{kind}[]) AS given (id, old, new)"
            f' WHERE t.id = given.id AND t."{column.name}" = given.old',
            [ids, olds, news],
        )
        return cursor.rowcount, unreadable


def _without(found: dict[str, dict[str, int]], keys: set[str]) -> dict[str, dict[str, int]]:
    rest = {name: {key: count for key, count in by.items() if key not in keys} for name, by in found.items()}
    return {name: by for name, by in rest.items() if by}
