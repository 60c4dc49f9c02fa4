"""The one door for bulk writes: rows are staged, checked, and merged by one guarded INSERT … SELECT.

Rows that are already equal are not written at all, so reading the same window again costs almost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property, lru_cache
from itertools import count
from operator import itemgetter
from typing import Any, Final

from django.db import connection, models, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.sql import SQL, Composable, Composed, Identifier

from domventas.core import partitions
from domventas.core.bulk_values import checked, column_type, exact
from domventas.core.errors import DomventasError
from domventas.core.fields import EncryptedTextField
from domventas.core.models import ClientModel
from domventas.core.tenancy import current

#: From here on COPY is faster than one statement with all values; below, making the temporary table outweighs it.
COPY_FROM: Final = 50

_names = count()


class DuplicateKeys(DomventasError, ValueError):
    """One batch holds several rows of one key; which of them is right is not for the loader to guess."""

    message = "The same key was given more than once."


@dataclass(frozen=True, slots=True)
class Upserted:
    """What a merge did.

    Attributes:
        rows: rows given.
        inserted: new rows.
        updated: rows that differed and were changed; the rest was equal, or older than what we have.
        ids: primary keys of all given rows by key, if asked for.
    """

    rows: int = 0
    inserted: int = 0
    updated: int = 0
    ids: Mapping[tuple[Any, ...], int] = field(default_factory=dict)

    def __add__(self, other: Upserted) -> Upserted:
        return Upserted(
            self.rows + other.rows,
            self.inserted + other.inserted,
            self.updated + other.updated,
            {**self.ids, **other.ids},
        )


def upsert(
    model: type[ClientModel],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    key: Sequence[str],
    *,
    compare: Sequence[str] | None = None,
    keep: Sequence[str] = (),
    newer_than: str | None = None,
    extra: Mapping[str, Any] | None = None,
    returning: bool = False,
) -> Upserted:
    """Insert or update rows of the active client by their natural key.

    Opens a transaction if there is none; makes the months' partitions of a partitioned table. Signals, `save()` and
    `auto_now` do not run. Columns left out take the model's default on insert and stay on update.

    Args:
        columns: field names, in the order of the rows' values.
        key: field names of a unique constraint, without `client`.
        compare: fields whose change makes a row different; default all but the key and encrypted ones. The others
            are written along with a change, never the reason for one (a fetch time, a document's id).
        keep: fields that are set on insert only.
        newer_than: a field (usually the source's own time of change); a row whose value is older than the stored one
            is left out, so late and repeated pages never undo newer facts.
        extra: further fields with one value for all rows.
        returning: give the ids of all rows of the batch, changed or not.

    Raises:
        DuplicateKeys: one key twice in the batch. NoClient: not exactly one client. TypeError: a float for a decimal.
    """
    if isinstance(rows, list) and not rows:
        return Upserted()
    wanted = None if compare is None else tuple(compare)
    plan = _plan(model, tuple(columns), tuple(key), tuple(extra or ()), newer_than, frozenset(keep), wanted)
    values = plan.prepared(rows, tuple((extra or {}).values()))
    if not values:
        return Upserted()
    plan.refuse_duplicates(values)
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        if model.partition_by:
            at = plan.names.index(model.partition_by)
            partitions.ensure(model, {row[at] for row in values})
        if len(values) < COPY_FROM:
            return _merge(cursor, plan, values, returning)
        with _staged(cursor, plan, values) as stage:
            return _merge(cursor, plan, values, returning, stage=stage)


@contextmanager
def copy_stage(name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A temporary table with these rows for the statements inside the block, which runs in one transaction.

    Args:
        name: what it is about; the table's name begins with it.
        columns: PostgreSQL type by column name.

    Yields:
        The table's name, safe to be written into SQL. It has been analyzed.

    Raises:
        TypeError: a float for a numeric column.
    """
    table = f"stage_{name}_{next(_names)}"
    exact_at = [index for index, kind in enumerate(columns.values()) if kind.lower().startswith(("numeric", "decimal"))]
    definition = SQL(", ").join(SQL("{} ").format(Identifier(c)) + _raw(kind) for c, kind in columns.items())
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(Identifier(table), definition))
        _copy(cursor, table, _without_floats(rows, exact_at, tuple(columns)))
        cursor.execute(SQL("ANALYZE {}").format(Identifier(table)))
        yield f'"{table}"'
        cursor.execute(SQL("DROP TABLE {}").format(Identifier(table)))


@dataclass(frozen=True)
class _Plan:
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
        for name in {*self.key, *self.keep, *(self.compare or ()), *filter(None, [self.newer_than])}:
            if name not in self.names:
                raise ValueError(f"{name} is not among the columns")

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

    def prepared(self, rows: Iterable[Sequence[Any]], extra: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows with every value checked and in the driver's form, the extra values at their end."""
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
        constant = tuple(
            checked(self.field(name), client, [value])[0] for name, value in zip(self.extra, extra, strict=True)
        )
        return [(*row, *constant) for row in given] if constant else given

    def refuse_duplicates(self, values: list[tuple[Any, ...]]) -> None:
        at = [self.names.index(name) for name in self.key]
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
        types = [_raw(column_type(self.field(name))) for name in self.names]
        first = SQL("({})").format(SQL(", ").join(SQL("%s::") + kind for kind in types))
        names = SQL(", ").join(self.identifiers(self.names))
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
        """INSERT … SELECT … ON CONFLICT. Parameters: client, defaults of `left_out`, then those of the source."""
        changes = [name for name in self.names if name not in self.key and name not in self.keep]
        reasons = list(self.compare or ())
        if self.compare is None:
            reasons = [n for n in changes if n not in self.extra and not isinstance(self.field(n), EncryptedTextField)]
        touched = [name for name in left_out if getattr(self.field(name), "auto_now", False)]
        keys, names = self.identifiers(self.key), self.identifiers(self.names)
        defaults = [SQL("%s::") + _raw(column_type(self.field(name))) for name in left_out]
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
            columns=SQL(", ").join([*names, *self.identifiers(left_out)]),
            selected=SQL(", ").join([*(SQL("s.{}").format(name) for name in names), *defaults]),
            by=SQL(", ").join(SQL("s.{}").format(name) for name in keys),
            keys=SQL(", ").join(keys),
            source=source,
            action=action if reasons else SQL("DO NOTHING"),
        )


@lru_cache(maxsize=256)
def _plan(*parts: Any) -> _Plan:
    return _Plan(*parts)


@lru_cache(maxsize=1024)
def _texts(plan: _Plan, left_out: tuple[str, ...], rows: int, *, returning: bool) -> tuple[str, str]:
    """The merge of a VALUES list of so many rows (0: of `@stage`), and the query for the ids of all its keys.

    To put a statement together takes longer than PostgreSQL needs for one order, so each is made once.
    """
    target, keys = Identifier(plan.model._meta.db_table), plan.identifiers(plan.key)
    source: Composable = plan.values_source(rows) if rows else SQL("@stage AS s")
    of_t = SQL(", ").join(SQL("t.{}").format(name) for name in keys)
    if plan.model.partition_by:
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


def _merge(
    cursor: CursorWrapper, plan: _Plan, values: list[tuple[Any, ...]], returning: bool, *, stage: str = ""
) -> Upserted:
    client = current().one
    given = [] if stage else [value for row in values for value in row]
    defaults = plan.defaults(client)
    statement, query = _texts(plan, tuple(defaults), 0 if stage else len(values), returning=returning)
    parameters = [client, *defaults.values(), *given]
    if plan.model.partition_by:
        parameters.append(client)
    cursor.execute(statement.replace("@stage", f'"{stage}"'), parameters)
    ids: dict[tuple[Any, ...], int] = {}
    if returning and not plan.model.partition_by:
        done = cursor.fetchall()
        written, inserted = len(done), sum(row[1] for row in done)
        ids = {row[2:]: row[0] for row in done}
    else:
        written, inserted = cursor.fetchone()
    if returning and len(ids) < len(values):  # what was equal or older was not written, so it is not among them
        cursor.execute(query.replace("@stage", f'"{stage}"'), [*given, client])
        ids = {tuple(row[1:]): row[0] for row in cursor.fetchall()}
    return Upserted(len(values), inserted, written - inserted, ids)


@contextmanager
def _staged(cursor: CursorWrapper, plan: _Plan, values: list[tuple[Any, ...]]) -> Iterator[str]:
    """The rows in a temporary table with the target's own column types."""
    table = f"stage_{next(_names)}"
    columns = SQL(", ").join(plan.identifiers(plan.names))
    cursor.execute(
        SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
            Identifier(table), columns, Identifier(plan.model._meta.db_table)
        )
    )
    _copy(cursor, table, values)
    yield table
    # ON COMMIT DROP does not come between two merges of one transaction.
    cursor.execute(SQL("DROP TABLE {}").format(Identifier(table)))


def _copy(cursor: CursorWrapper, table: str, rows: Iterable[Sequence[Any]]) -> None:
    with cursor.copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
        for row in rows:
            copy.write_row(row)


def _differs(columns: list[Identifier]) -> Composed:
    theirs = SQL(", ").join(SQL("t.{}").format(name) for name in columns)
    ours = SQL(", ").join(SQL("excluded.{}").format(name) for name in columns)
    return SQL("({}) IS DISTINCT FROM ({})").format(theirs, ours)


def _without_floats(rows: Iterable[Sequence[Any]], at: list[int], names: tuple[str, ...]) -> Iterator[Sequence[Any]]:
    for row in rows:
        for index in at:
            value = row[index]
            if value is not None and not (type(value) is Decimal and value.is_finite()):
                exact(value, names[index])
        yield row


def _raw(text: str) -> SQL:
    """SQL from our own models and callers' type names, never from outside."""
    return SQL(text)
