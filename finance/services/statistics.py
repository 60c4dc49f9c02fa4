"""What the planner has to be told before a big join: how much there is, and that looking up a few rows is cheap."""

from __future__ import annotations

from typing import Final

from django.db import connection

from domventas.core import partitions
from domventas.core.models import ClientModel

#: Empty ones are left alone: once counted as empty, keys into them are checked by reading them whole while they fill.
UNCOUNTED: Final = """
SELECT relname FROM pg_class
WHERE oid = ANY(%s::regclass[]::oid[]) AND reltuples <= 0 AND (relkind = 'p' OR pg_relation_size(oid) > 0)
"""

#: What is new is little and lies together: looking rows up one by one beats reading whole tables, which the planner,
#: thinking of a turning disk, takes for cheaper from some thousand lines on.
LOOK_UP: Final = "SET LOCAL random_page_cost = 1.1"
AS_EVER: Final = "SET LOCAL random_page_cost TO DEFAULT"


def count_if_never_counted(*models: type[ClientModel]) -> None:
    """Count those tables that were empty, or not there, when the server last looked; usually one cheap query.

    Right after a first load the server has not come round to it, and joins on a client's rows would compare each
    line with each order.
    """
    tables = {model._meta.db_table: model for model in models}
    with connection.cursor() as cursor:
        cursor.execute(UNCOUNTED, [list(tables)])
        uncounted = [row[0] for row in cursor.fetchall()]
    for table in uncounted:
        partitions.analyze(tables[table])
