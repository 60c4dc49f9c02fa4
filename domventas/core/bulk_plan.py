"""What a bulk write is made of: which columns are written, compared and kept, and the statements that follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import Any

from django.db import connection, models
from psycopg.sql import SQL, Composable, Composed, Identifier

from domventas.core.bulk_values import cast_type, checked
from domventas.core.errors import DomventasError
from domventas.core.fields import EncryptedTextField
from domventas.core.models import ClientModel
from domventas.core.tenancy import current


class DuplicateKeys(DomventasError, ValueError):
    """One batch holds several rows of one key; which of them is right is not for the loader to guess."""

    message = "The same key was given more than once."


@dataclass(frozen=True)
class Plan:
    """Which columns are written, compared, kept; all SQL parts that follow from it. One serves all calls alike."""

    model: type[ClientModel]
    columns: tuple[str, ...]
    key: tuple[str, ...]
    extra: tuple[str, ...]
    newer_than: str | None
    keep: frozenset[str]
    compare: tuple[str, ...] | None

    def __post_init__(self) -> None:
        wanted = {"client", *(str(self.field(name).name) for name in self.key)}
        keys = [set(c.fields) for c in self.model._meta.constraints if isinstance(c, models.UniqueConstraint)]
        if wanted not in keys:
            raise ValueError(f"{self.model._meta.label} has no unique constraint on {sorted(wanted)}")
        for name in {*self.key, *filter(None, [self.newer_than, self.model.partition_by])}:
            if name not in self.columns:
                raise ValueError(f"{name} is not among the columns")
        if missing := {*self.keep, *(self.compare or ())}.difference(self.names):
            raise ValueError(f"{', '.join(sorted(missing))}: not among the columns")

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (*self.columns, *self.extra)

    @cached_property
    def _by_name(self) -> dict[str, models.Field[Any, Any]]:
        fields = self.model._meta.concrete_fields
        return {name: f for f in fields for name in (str(f.name), str(f.attname))}

    def field(self, name: str) -> models.Field[Any, Any]:
        return self._by_name[name]

    def identifiers(self, names: Iterable[str]) -> list[Identifier]:
        return [Identifier(str(self.field(name).column)) for name in names]

    def prepared(self, rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
        """The rows with every value checked and in the driver's form."""
        client = current().one
        given = [tuple(row) for row in rows]
        if set(map(len, given)) - {len(self.columns)}:
            raise ValueError(f"each row needs {len(self.columns)} values: {', '.join(self.columns)}")
        if not given:
            return []
        columns = list(zip(*given, strict=True))
        made = [checked(self.field(n), client, c) for n, c in zip(self.columns, columns, strict=True)]
        if any(new is not old for new, old in zip(made, columns, strict=True)):
            given = list(zip(*made, strict=True))
        return given

    def constants(self, extra: Mapping[str, Any]) -> list[Any]:
        """The values that are the same for all rows, checked and in the driver's form."""
        client = current().one
        return [checked(self.field(name), client, [value])[0] for name, value in extra.items()]

    def refuse_duplicates(self, values: list[tuple[Any, ...]]) -> None:
        at = [self.columns.index(name) for name in self.key]
        if len(set(map(itemgetter(*at), values))) == len(values):
            return
        seen: set[tuple[Any, ...]] = set()
        for row in values:
            key = tuple(row[index] for index in at)
            if key in seen:
                named = ", ".join(f"{name}={value!r}" for name, value in zip(self.key, key, strict=True))
                raise DuplicateKeys(f"{self.model._meta.verbose_name} was given more than once: {named}.")
            seen.add(key)

    def values_source(self, rows: int) -> Composed:
        """A VALUES list; its first row states the types."""
        types = [raw(cast_type(self.field(name))) for name in self.columns]
        first = SQL("({})").format(SQL(", ").join(SQL("%s::") + kind for kind in types))
        names = SQL(", ").join(self.identifiers(self.columns))
        return SQL("(VALUES {}) AS s ({})").format(SQL(", ").join([first] * rows), names)

    @cached_property
    def left_out(self) -> list[models.Field[Any, Any]]:
        """Columns nobody gave that the model itself fills."""
        named = {self.field(name).attname for name in self.names}
        return [
            column
            for column in self.model._meta.concrete_fields
            if column.attname not in named and not column.primary_key and column.name != "client"
            and not column.generated and not column.has_db_default()
        ]  # fmt: skip

    def defaults(self, client: int) -> dict[str, Any]:
        """What the model says for the columns left out, as `save()` would; by column."""
        if not self.left_out:
            return {}
        blank = self.model(client_id=client)
        found = {
            str(column.name): column.get_db_prep_save(column.pre_save(blank, add=True), connection)
            for column in self.left_out
        }
        return {name: value for name, value in found.items() if value is not None}

    def merge(self, source: Composable, left_out: Sequence[str]) -> Composed:
        """INSERT … SELECT … ON CONFLICT. Parameters: client, constants, defaults of `left_out`, those of the source."""
        changes = [name for name in self.names if name not in self.key and name not in self.keep]
        reasons = list(self.compare or ())
        if self.compare is None:
            reasons = [n for n in changes if n not in self.extra and not isinstance(self.field(n), EncryptedTextField)]
        touched = [name for name in left_out if getattr(self.field(name), "auto_now", False)]
        keys, names = self.identifiers(self.key), self.identifiers(self.columns)
        same = [*self.extra, *left_out]
        values = [SQL("%s::") + raw(cast_type(self.field(name))) for name in same]
        sets = [SQL("{0} = excluded.{0}").format(column) for column in self.identifiers([*changes, *touched])]
        guard = [_differs(self.identifiers(reasons))] if reasons else []
        if self.newer_than:
            column = Identifier(str(self.field(self.newer_than).column))
            guard.append(SQL("(t.{0} IS NULL OR t.{0} <= excluded.{0})").format(column))
        action = SQL("DO UPDATE SET {} WHERE {}").format(SQL(", ").join(sets), SQL(" AND ").join(guard))
        return SQL(
            "INSERT INTO {table} AS t (client_id, {columns}) SELECT %s, {selected} FROM {source} ORDER BY {by}"
            " ON CONFLICT (client_id, {keys}) {action}"
        ).format(
            table=Identifier(self.model._meta.db_table),
            columns=SQL(", ").join([*names, *self.identifiers(same)]),
            selected=SQL(", ").join([*(SQL("s.{}").format(name) for name in names), *values]),
            by=SQL(", ").join(SQL("s.{}").format(name) for name in keys),
            keys=SQL(", ").join(keys),
            source=source,
            action=action if reasons else SQL("DO NOTHING"),
        )


@lru_cache(maxsize=256)
def plan_of(*parts: Any) -> Plan:
    """One serves all calls alike."""
    return Plan(*parts)


@lru_cache(maxsize=1024)
def _texts(plan: Plan, left_out: tuple[str, ...], rows: int, *, returning: bool, counted: bool) -> tuple[str, str]:
    """The merge of a VALUES list of so many rows (0: of `@stage`), and the query for the ids of all its keys.

    To put a statement together takes longer than PostgreSQL needs for one order, so each is made once.
    """
    target, keys = Identifier(plan.model._meta.db_table), plan.identifiers(plan.key)
    source: Composable = plan.values_source(rows) if rows else SQL("@stage AS s")
    of_t = SQL(", ").join(SQL("t.{}").format(name) for name in keys)
    if not counted:
        sql = SQL("{merge}")
    elif plan.model.partition_by:
        # System columns of a partitioned table cannot be returned; but this statement's snapshot holds only what
        # was there before, so a written key that is found in the table was an update.
        sql = SQL(
            "WITH done AS ({merge} RETURNING {keys}) SELECT count(*), count(*) - (SELECT count(*) FROM {target}"
            " JOIN done USING ({keys}) WHERE client_id = %s) FROM done"
        )
    elif returning:
        sql = SQL("{merge} RETURNING t.id, t.xmax = 0, {of_t}")
    else:
        sql = SQL(
            "WITH done AS ({merge} RETURNING t.xmax = 0 AS fresh)"
            " SELECT count(*), count(*) FILTER (WHERE fresh) FROM done"
        )
    merge = sql.format(merge=plan.merge(source, left_out), keys=SQL(", ").join(keys), of_t=of_t, target=target)
    found = SQL("SELECT t.id, {columns} FROM {source} JOIN {target} AS t ON t.client_id = %s AND {same}").format(
        columns=of_t,
        source=source,
        target=target,
        same=SQL(" AND ").join(SQL("t.{0} = s.{0}").format(name) for name in keys),
    )
    return merge.as_string(None), found.as_string(None)


def statement_of(
    plan: Plan,
    values: list[tuple[Any, ...]],
    constant: list[Any],
    stage: str,
    *,
    returning: bool = False,
    counted: bool = True,
) -> tuple[str, list[Any], str]:  # fmt: skip
    """The merge with its parameters, and the query for the ids of all its keys."""
    client = current().one
    defaults = plan.defaults(client)
    statement, query = _texts(plan, tuple(defaults), 0 if stage else len(values), returning=returning, counted=counted)
    given = [] if stage else [value for row in values for value in row]
    parameters = [client, *constant, *defaults.values(), *given, *([client] if plan.model.partition_by else [])]
    return statement.replace("@stage", f'"{stage}"'), parameters, query.replace("@stage", f'"{stage}"')


def _differs(columns: list[Identifier]) -> Composed:
    theirs = SQL(", ").join(SQL("t.{}").format(name) for name in columns)
    ours = SQL(", ").join(SQL("excluded.{}").format(name) for name in columns)
    return SQL("({}) IS DISTINCT FROM ({})").format(theirs, ours)


def raw(text: str) -> SQL:
    """SQL from our own models and callers' type names, never from outside."""
    return SQL(text)
