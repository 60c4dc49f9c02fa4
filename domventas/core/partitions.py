"""Monthly partitions of the big tables: made when first needed, walled from their first moment, dropped as a whole.

Through the owner's functions; the application itself may not create or drop anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Final

from django.db import connection, connections, transaction

from domventas.core.models import ClientModel

#: Empty ones are left alone: once counted as empty, keys into them are checked by reading them whole while they fill.
GROWN: Final = """
SELECT relname FROM pg_class
WHERE oid = ANY(%s::regclass[]::oid[]) AND (
    reltuples <= 0 AND (relkind = 'p' OR pg_relation_size(oid) > 0)
    OR relpages > 0 AND pg_relation_size(oid) >= 4::bigint * relpages * current_setting('block_size')::bigint)
"""


def ensure(model: type[ClientModel], days: Iterable[date]) -> int:
    """Make the partitions for these days where they are missing; returns how many were made.

    Every writer of a partitioned table calls it first; `bulk.upsert` does so by itself.
    """
    months = sorted({day.replace(day=1) for day in days})
    if not months:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE core_make_partition(%s, month)) FROM unnest(%s::date[]) AS month",
            [model._meta.db_table, months],
        )
        return int(cursor.fetchone()[0])


def drop(model: type[ClientModel], month: date) -> bool:
    """Drop one month for all clients (retention), as ops; False if there was none.

    Needs the table for itself for a moment: behind a long reader it gives up after three seconds, as whoever comes
    after it would wait too. Raises: OperationalError: that is so; another try may do.
    """
    with transaction.atomic(using="ops"), connections["ops"].cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '3s'")
        cursor.execute("SELECT core_drop_partition(%s, %s)", [model._meta.db_table, month])
        return bool(cursor.fetchone()[0])


def analyze(model: type[ClientModel]) -> None:
    """Refresh the planner's statistics after a big load; where somebody else is at it, nothing is done."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_analyze(%s)", [model._meta.db_table])


def count_if_grown(*models: type[ClientModel]) -> None:
    """Count those tables that were empty, or a quarter as big, when the server last looked; usually one cheap query.

    In a first load the server comes round to it once a minute. Until then joins compare each row with each, and a key
    into the table is checked by reading all the client's rows, for every row that points at it.
    """
    tables = {model._meta.db_table: model for model in models}
    with connection.cursor() as cursor:
        cursor.execute(GROWN, [list(tables)])
        grown = [row[0] for row in cursor.fetchall()]
    for table in grown:
        analyze(tables[table])
