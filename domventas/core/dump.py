"""A client's facts in a form that two databases can be compared by: natural keys for ids, sorted, nothing volatile."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import models

from domventas.core.checks import walled_models
from domventas.core.fields import EncryptedTextField, Sealed
from domventas.core.models import Client, ClientModel
from domventas.core.tenancy import acting_for

Row = tuple[str, ...]
Dump = dict[str, list[Row]]


def canonical_dump(client: Client) -> Dump:
    """Every lasting fact of a client by table, each row as text values in the order of `columns_of`.

    Left out: tables and columns marked `volatile`, rows outside `dump_only`, ids, and times of writing (`auto_now`).
    References appear as the natural key of the row they point at; secrets as a hash of what they say.
    """
    with acting_for(client):
        reader = _Reader(client.pk)
        return {model._meta.db_table: reader.rows(model) for model in dumped_models()}


def digests(dump: Dump) -> dict[str, str]:
    """One SHA-256 per table."""
    return {table: hashlib.sha256(json.dumps(rows).encode()).hexdigest() for table, rows in dump.items()}


def differences(left: Dump, right: Dump) -> list[str]:
    """What only one of two dumps holds, one line per row, `-` for left and `+` for right."""
    lines: list[str] = []
    for table in sorted({*left, *right}):
        mine, theirs = left.get(table, []), right.get(table, [])
        if mine != theirs:
            lines += [f"- {table}: {' | '.join(row)}" for row in _only(mine, theirs)]
            lines += [f"+ {table}: {' | '.join(row)}" for row in _only(theirs, mine)]
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What tells a dump from the right one.

    Attributes:
        lost: rows whose key only the right one has. duplicated: rows whose key it does not have, or not so often.
        changed: rows of the same key that say something else.
        lines: one line per row, `-` as it should be, `+` as it is; table and key stand before the columns.
    """

    lost: int = 0
    duplicated: int = 0
    changed: int = 0
    lines: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Not one row differs."""
        return not (self.lost or self.duplicated or self.changed)


def compare(right: Dump, other: Dump) -> Comparison:
    """Hold a dump against the right one, row by row under each table's natural key."""
    lost = duplicated = changed = 0
    lines: list[str] = []
    for model in dumped_models():
        table = model._meta.db_table
        if right.get(table, []) == other.get(table, []):
            continue
        missing, extra = _by_key(model, right.get(table, [])), _by_key(model, other.get(table, []))
        for key in sorted({*missing, *extra}):
            gone, come = missing[key] - extra[key], extra[key] - missing[key]
            less, more = gone.total(), come.total()
            lost += max(0, less - more)
            duplicated += max(0, more - less)
            changed += min(less, more)
            lines += [f"- {table} [{key}]: {' | '.join(row)}" for row in gone]
            lines += [f"+ {table} [{key}]: {' | '.join(row)}" for row in come]
    return Comparison(lost=lost, duplicated=duplicated, changed=changed, lines=tuple(lines))


def _by_key(model: type[ClientModel], rows: list[Row]) -> defaultdict[str, Counter[Row]]:
    names = [field.name for field in columns_of(model)]
    places = [names.index(field.name) for field in key_of(model) if field.name in names]
    found: defaultdict[str, Counter[Row]] = defaultdict(Counter)
    for row in rows:
        found["/".join(row[place] for place in places)][row] += 1
    return found


def dumped_models() -> list[type[ClientModel]]:
    """The tables that hold lasting facts, by name."""
    lasting = [model for model in walled_models() if model.volatile is not True and model._meta.managed]
    return sorted(lasting, key=lambda model: model._meta.db_table)


def columns_of(model: type[ClientModel]) -> list[models.Field[Any, Any]]:
    """The columns of a table that are compared."""
    volatile = model.volatile if isinstance(model.volatile, tuple) else ()
    unknown = set(volatile) - {name for field in model._meta.concrete_fields for name in (field.name, field.attname)}
    if unknown:
        raise ValueError(f"{model._meta.label}.volatile names no column: {sorted(unknown)}")
    return [
        field
        for field in model._meta.concrete_fields
        if not field.primary_key
        and field.name != "client"
        and not {field.name, field.attname} & set(volatile)
        and not getattr(field, "auto_now", False)
        and not getattr(field, "auto_now_add", False)
    ]


def key_of(model: type[ClientModel]) -> list[models.Field[Any, Any]]:
    """The natural key: `dump_key`, else the first unique constraint, else every compared column."""
    names: tuple[str, ...] = model.dump_key
    if not names:
        whole = (c for c in model._meta.constraints if isinstance(c, models.UniqueConstraint) and not c.condition)
        names = next((tuple(name for name in c.fields if name != "client") for c in whole), ())
    return [model._meta.get_field(name) for name in names] if names else columns_of(model)  # type: ignore[misc]  # names of columns only


def _only(rows: list[Row], others: list[Row]) -> list[Row]:
    left = list(others)
    found = []
    for row in rows:
        if row in left:
            left.remove(row)
        else:
            found.append(row)
    return found


class _Reader:
    """Reads each table once and remembers the natural key of every row that something points at."""

    def __init__(self, client: int) -> None:
        self.client = client
        self._keys: dict[type[models.Model], dict[int, str]] = {}

    def rows(self, model: type[ClientModel]) -> list[Row]:
        fields = columns_of(model)
        columns = model.objects.filter(model.dump_only).values_list(*(field.attname for field in fields))
        found = columns.iterator(chunk_size=5000)
        return sorted(tuple(self._text(f, v) for f, v in zip(fields, row, strict=True)) for row in found)

    def _points_at(self, field: models.Field[Any, Any]) -> type[Any] | None:
        """The model whose id a column holds: a foreign key's, or the one its model names in `dump_refs`."""
        if isinstance(field, models.ForeignKey):
            return field.related_model if isinstance(field.related_model, type) else None
        named = getattr(field.model, "dump_refs", {}).get(field.name)
        return apps.get_model(named) if named else None

    def _key(self, model: type[Any], pk: Any) -> str:
        if model not in self._keys:
            self._keys[model] = {}  # a table that points at itself ends here
            self._keys[model] = dict(self._natural(model))
        return self._keys[model].get(pk, f"#{pk}")

    def _natural(self, model: type[Any]) -> list[tuple[int, str]]:
        fields = key_of(model) if issubclass(model, ClientModel) else _unique(model)
        rows = model._default_manager.values_list("pk", *(field.attname for field in fields))
        return [
            (pk, "/".join(self._text(f, v) for f, v in zip(fields, values, strict=True)) if fields else f"#{pk}")
            for pk, *values in rows.iterator(chunk_size=5000)
        ]

    def _text(self, field: models.Field[Any, Any], value: Any) -> str:
        if value is None:
            return "∅"
        if (model := self._points_at(field)) is not None:
            return self._key(model, value)
        if isinstance(field, EncryptedTextField) and isinstance(value, Sealed):
            plain = json.dumps(field.open(value.token, client=self.client), sort_keys=True)
            return hashlib.sha256(plain.encode()).hexdigest()
        return _plain(value)


def _unique(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """A shared table's own code, its first unique column."""
    return [field for field in model._meta.concrete_fields if field.unique and not field.primary_key][:1]


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes | memoryview):
        return hashlib.sha256(bytes(value)).hexdigest()
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)
    return str(value)
