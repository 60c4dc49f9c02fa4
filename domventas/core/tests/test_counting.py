"""The planner gets its counts while a first load goes on: before joins, and before keys are checked by reading all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core import partitions
from domventas.core.models import Threshold
from domventas.core.partitions import GROWN, count_if_grown
from orders.models import Order
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order
from orders.tests.conftest import shop as shop

pytestmark = pytest.mark.db


def counted(table: str) -> float:
    """Rows of the table as the server last counted them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [table])
        return float(cursor.fetchone()[0])


def test_an_empty_table_is_left_as_nobody_has_counted_it(acting: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE fresh (n integer) ON COMMIT DROP")
        cursor.execute(GROWN, [["fresh"]])
        assert cursor.fetchall() == []
        cursor.execute("INSERT INTO fresh VALUES (1)")
        cursor.execute(GROWN, [["fresh"]])
        assert cursor.fetchall() == [("fresh",)]


def test_one_that_has_grown_fourfold_since_is_named_again(acting: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE fresh (n integer) ON COMMIT DROP")
        for rows, grown in ((7, True), (7, False), (5000, True), (5000, False)):
            cursor.execute("INSERT INTO fresh SELECT generate_series(1, %s)", [rows])
            cursor.execute(GROWN, [["fresh"]])
            assert bool(cursor.fetchall()) is grown, rows
            cursor.execute("ANALYZE fresh")


def test_a_table_is_counted_once_it_has_rows_and_then_left_alone(acting: Any) -> None:
    partitions.analyze(Threshold)  # what other tests have counted outlives their rows
    Threshold.objects.bulk_create(Threshold(code=f"c{n}", value=n) for n in range(7))
    with CaptureQueriesContext(connection) as first:
        count_if_grown(Threshold)
    assert counted("core_threshold") == 7
    with CaptureQueriesContext(connection) as second:
        count_if_grown(Threshold)
    assert (len(first), len(second)) == (2, 1)


def test_in_a_first_load_orders_are_counted_as_they_come(shop: Shop) -> None:
    """Else each key into them is checked by reading all of the client's, until the server comes round to counting."""
    partitions.analyze(Order)
    for start in (0, 100, 200):
        page = [order(n, lines=(line(1),), updated_at=NOW - timedelta(hours=1)) for n in range(start, start + 100)]
        ingest(shop.account, page, now=NOW)
    assert counted("orders_order") >= 100
