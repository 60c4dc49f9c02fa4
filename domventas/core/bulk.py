"""The one door for bulk writes: rows are staged, checked, and merged by one guarded INSERT … SELECT.

Rows that are already equal are not written at all, so reading the same window again costs almost nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any, Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from psycopg.sql import SQL, Identifier

from domventas.core import partitions
from domventas.core.behind import Behind
from domventas.core.bulk_plan import DuplicateKeys, Plan, plan_of, raw, statement_of
from domventas.core.bulk_values import exact
from domventas.core.models import ClientModel
from domventas.core.tenancy import current

__all__ = ["DuplicateKeys", "Upserted", "copy_stage", "new_ids", "upsert"]

#: From here on COPY is faster than one statement with all values; below, making the temporary table outweighs it.
COPY_FROM: Final = 50

_names = count()


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
    behind: Behind | None = None,
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
        extra: further fields with one value for all rows, none of the key; compared only if `compare` names them.
        returning: give the ids of all rows of the batch, changed or not.
        behind: written with its next `send`, which counts them; until then the database is not touched. Never together
            with `returning`.

    Raises:
        DuplicateKeys: one key twice in the batch. NoClient: not exactly one client. TypeError: a float for a decimal.
    """
    if isinstance(rows, list) and not rows:
        return Upserted()
    wanted = None if compare is None else tuple(compare)
    plan = plan_of(model, tuple(columns), tuple(key), tuple(extra or ()), newer_than, frozenset(keep), wanted)
    values = plan.prepared(rows)
    if not values:
        return Upserted()
    plan.refuse_duplicates(values)
    constant = plan.constants(extra or {})
    if behind is not None:
        if not model.partition_by:
            return _left_to(behind, plan, values, constant)
        behind.finish()  # its months may have to be made first
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        if model.partition_by:
            at = plan.columns.index(model.partition_by)
            partitions.ensure(model, {row[at] for row in values})
        if len(values) < COPY_FROM:
            return _merge(cursor, plan, values, constant, returning=returning)
        with _staged(cursor, plan, values) as stage:
            return _merge(cursor, plan, values, constant, returning=returning, stage=stage)


def new_ids(model: type[ClientModel], number: int) -> list[int]:
    """Primary keys nobody else will get, for rows whose children are to be written before the server has answered."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, number],
        )
        return [row[0] for row in cursor.fetchall()]


@contextmanager
def copy_stage(
    name: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]], *, count: Collection[str] | None = None
) -> Iterator[str]:
    """A temporary table with these rows for the statements inside the block, which runs in one transaction.

    Args:
        name: what it is about; the table's name begins with it.
        columns: PostgreSQL type by column name.
        count: columns whose values are counted for the planner, default all; none if the table is filled later.

    Yields:
        The table's name, safe to be written into SQL.

    Raises:
        TypeError: a float for a numeric column.
    """
    table = f"stage_{name}_{next(_names)}"
    exact_at = [index for index, kind in enumerate(columns.values()) if kind.lower().startswith(("numeric", "decimal"))]
    definition = SQL(", ").join(SQL("{} ").format(Identifier(c)) + raw(kind) for c, kind in columns.items())
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(Identifier(table), definition))
        _copy(cursor, table, _without_floats(rows, exact_at, tuple(columns)))
        counted = SQL(", ").join(map(Identifier, columns if count is None else count))
        if count is None or count:
            cursor.execute(SQL("ANALYZE {} ({})").format(Identifier(table), counted))
        yield f'"{table}"'
        cursor.execute(SQL("DROP TABLE {}").format(Identifier(table)))


def _merge(
    cursor: CursorWrapper, plan: Plan, values: list[tuple[Any, ...]], constant: list[Any], *,
    returning: bool, stage: str = "",
) -> Upserted:  # fmt: skip
    statement, parameters, query = statement_of(plan, values, constant, stage, returning=returning)
    cursor.execute(statement, parameters)
    ids: dict[tuple[Any, ...], int] = {}
    if returning and not plan.model.partition_by:
        done = cursor.fetchall()
        written, inserted = len(done), sum(row[1] for row in done)
        ids = {row[2:]: row[0] for row in done}
    else:
        written, inserted = cursor.fetchone()
    if returning and len(ids) < len(values):  # what was equal or older was not written, so it is not among them
        given = [] if stage else [value for row in values for value in row]
        cursor.execute(query, [*given, current().one])
        ids = {tuple(row[1:]): row[0] for row in cursor.fetchall()}
    return Upserted(len(values), inserted, written - inserted, ids)


@contextmanager
def _staged(cursor: CursorWrapper, plan: Plan, values: list[tuple[Any, ...]]) -> Iterator[str]:
    """The rows in a temporary table with the target's own column types."""
    create, table = _stage(plan)
    cursor.execute(create)
    _copy(cursor, table, values)
    yield table
    # ON COMMIT DROP does not come between two merges of one transaction.
    cursor.execute(SQL("DROP TABLE {}").format(Identifier(table)))


def _stage(plan: Plan) -> tuple[str, str]:
    """The statement that makes a temporary table for rows of the plan, and the table's name."""
    table = f"stage_{next(_names)}"
    columns = SQL(", ").join(plan.identifiers(plan.columns))
    create = SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
        Identifier(table), columns, Identifier(plan.model._meta.db_table)
    )
    return create.as_string(None), table


def _left_to(behind: Behind, plan: Plan, values: list[tuple[Any, ...]], constant: list[Any]) -> Upserted:
    """Prepared, not run."""
    table = ""
    if len(values) >= COPY_FROM:
        create, table = _stage(plan)
        behind.stage(create, table, values)
    statement, parameters, _query = statement_of(plan, values, constant, table, counted=False)
    behind.merge(statement, parameters)
    return Upserted()


def _copy(cursor: CursorWrapper, table: str, rows: Iterable[Sequence[Any]]) -> None:
    with connection.wrap_database_errors, cursor.copy(SQL("COPY {} FROM STDIN").format(Identifier(table))) as copy:
        for row in rows:
            copy.write_row(row)


def _without_floats(rows: Iterable[Sequence[Any]], at: list[int], names: tuple[str, ...]) -> Iterator[Sequence[Any]]:
    for row in rows:
        for index in at:
            value = row[index]
            if value is not None and not (type(value) is Decimal and value.is_finite()):
                exact(value, names[index])
        yield row
