"""The planner gets its counts before the first big join, and only then."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.models import ClientModel
from finance.models import ExchangeRate
from finance.services.statistics import count_if_never_counted

pytestmark = pytest.mark.db


def counted(model: type[ClientModel]) -> float:
    """Rows of the table as the server last counted them; -1 = never."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [model._meta.db_table])
        return float(cursor.fetchone()[0])


def untouched() -> type[ClientModel]:
    """A table in which no test before has left so much as an empty page."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE reltuples < 0 AND relkind = 'r' AND pg_relation_size(oid) = 0"
        )
        names = {row[0] for row in cursor.fetchall()}
    return next(m for m in apps.get_models() if issubclass(m, ClientModel) and m._meta.db_table in names)


def test_an_empty_table_is_left_as_nobody_has_counted_it(acting: Any) -> None:
    model = untouched()
    with CaptureQueriesContext(connection) as queries:
        count_if_never_counted(model)
    assert (len(queries), counted(model)) == (1, -1)


def test_a_table_is_counted_once_it_has_rows_and_then_left_alone(acting: Any) -> None:
    ExchangeRate.objects.bulk_create(
        ExchangeRate(currency="USD", day=date(2026, 1, 1) + timedelta(days=n), rate=1, source="test") for n in range(7)
    )
    with CaptureQueriesContext(connection) as first:
        count_if_never_counted(ExchangeRate)
    assert counted(ExchangeRate) == 7
    with CaptureQueriesContext(connection) as second:
        count_if_never_counted(ExchangeRate)
    assert (len(first), len(second)) == (2, 1)
