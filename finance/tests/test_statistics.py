"""The planner gets its counts before the first big join, and only then."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core import partitions
from finance.models import ExchangeRate
from finance.services.statistics import UNCOUNTED, count_if_never_counted

pytestmark = pytest.mark.db


def counted() -> float:
    """Rows of the table as the server last counted them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'finance_exchangerate'")
        return float(cursor.fetchone()[0])


def test_an_empty_table_is_left_as_nobody_has_counted_it(acting: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE fresh (n integer) ON COMMIT DROP")
        cursor.execute(UNCOUNTED, [["fresh"]])
        assert cursor.fetchall() == []
        cursor.execute("INSERT INTO fresh VALUES (1)")
        cursor.execute(UNCOUNTED, [["fresh"]])
        assert cursor.fetchall() == [("fresh",)]


def test_a_table_is_counted_once_it_has_rows_and_then_left_alone(acting: Any) -> None:
    partitions.analyze(ExchangeRate)  # what other tests have counted outlives their rows
    ExchangeRate.objects.bulk_create(
        ExchangeRate(currency="USD", day=date(2026, 1, 1) + timedelta(days=n), rate=1, source="test") for n in range(7)
    )
    with CaptureQueriesContext(connection) as first:
        count_if_never_counted(ExchangeRate)
    assert counted() == 7
    with CaptureQueriesContext(connection) as second:
        count_if_never_counted(ExchangeRate)
    assert (len(first), len(second)) == (2, 1)
