"""Merges the server works on while we go on: counted, in order, and never in the way when something fails."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import DataError, connection, transaction

from domventas.core import bulk
from domventas.core.behind import Behind
from domventas.core.bulk import upsert
from domventas.core.models import Threshold
from domventas.core.tests.test_bulk import COLUMNS, KEY, give

pytestmark = pytest.mark.db

SIZES = [3, bulk.COPY_FROM + 3]  # one statement with all values, and the staged one


@pytest.mark.parametrize("size", SIZES)
def test_what_is_left_to_it_is_written_with_the_next_send_and_counted(acting: Any, size: int) -> None:
    with transaction.atomic(), Behind() as behind:
        assert upsert(Threshold, COLUMNS, give(size), KEY, behind=behind) == bulk.Upserted()
        assert Threshold.objects.count() == 0  # nothing was sent, and the connection is free
        behind.send()
        upsert(Threshold, COLUMNS, give(size + 1, 2), KEY, behind=behind)  # made ready while the first still runs
        behind.send()
    assert behind.written == size + size + 1
    assert set(Threshold.objects.values_list("value", flat=True)) == {Decimal(2)}
    with transaction.atomic(), Behind() as behind:
        upsert(Threshold, COLUMNS, give(size + 1, 2), KEY, behind=behind)
        behind.send()
    assert behind.written == 0


def test_nothing_to_send_costs_nothing(acting: Any) -> None:
    with transaction.atomic(), Behind() as behind:
        behind.send()
        behind.finish()
    assert behind.written == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_statement_that_fails_fails_the_wait_and_leaves_the_connection_usable(acting: Any, size: int) -> None:
    bad = [*give(size), ("x" * 500, "sku", "", Decimal(1))]
    with pytest.raises(DataError), transaction.atomic(), Behind() as behind:
        upsert(Threshold, COLUMNS, bad, KEY, behind=behind)
        behind.send()
    assert Threshold.objects.count() == 0


def test_who_fails_while_the_server_works_gets_the_connection_back(acting: Any) -> None:
    with pytest.raises(RuntimeError, match="ours"), transaction.atomic(), Behind() as behind:
        upsert(Threshold, COLUMNS, give(90), KEY, behind=behind)
        behind.send()
        raise RuntimeError("ours")
    assert Threshold.objects.count() == 0
    with connection.cursor() as cursor, cursor.copy("COPY (SELECT 1) TO STDOUT") as copy:  # refused while it is busy
        assert copy.read()
