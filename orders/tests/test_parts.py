"""A big page is written in parts, each while the next is compared; what comes of it is what comes of one in a piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection
from django.db.models import Count

from domventas.core.dump import canonical_dump
from orders.models import Order, OrderCharge, OrderLine
from orders.services import ingest as module
from orders.services.changes import Changes
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, line, order
from orders.tests.test_permutations import version

pytestmark = pytest.mark.db

#: Orders of a page, in the fewest parts in which something is written behind something else that is staged.
MANY = 150


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are small, yet big enough to be staged."""
    monkeypatch.setattr(module, "_PART", 60)


def pages() -> list[list[Any]]:
    """Three pages of the same orders: new, mostly changed (lines and amounts more and less), and the second again."""
    first = [version(n, n % 3) for n in range(MANY)]
    second = [version(n, 3 + n % 3) if n % 7 or n >= MANY else first[n] for n in range(MANY + 40)]
    return [first, second, second]


def taken_in(shop: Shop, client: Any) -> tuple[list[int], Any]:
    """How many rows each page wrote, and the canonical dump in the end."""
    written = [ingest(shop.account, page, now=NOW, raw_id=7 + n).written for n, page in enumerate(pages())]
    return written, {table: rows for table, rows in canonical_dump(client).items() if table.startswith("orders_")}


def test_the_same_rows_come_of_parts_as_of_one_piece(
    shop: Shop, client_dv: Any, parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_parts = taken_in(shop, client_dv)
    Order.objects.all().delete()
    monkeypatch.setattr(module, "_PART", 10_000)
    assert taken_in(shop, client_dv) == in_parts
    assert in_parts[0][2] == 0
    assert min(in_parts[0][:2]) > MANY


def test_new_rows_hang_on_their_parents(shop: Shop, parts: None) -> None:
    page = [order(n, lines=(line(1, title=f"one of O{n}"), line(2, title=f"two of O{n}"))) for n in range(MANY)]
    ingest(shop.account, page, now=NOW)
    assert OrderLine.objects.count() == 2 * MANY
    assert OrderCharge.objects.count() == 4 * MANY
    for name, title, charges in OrderLine.objects.annotate(parts=Count("charges")).values_list(
        "order__external_id", "title", "parts"
    ):
        assert (title.rpartition(" ")[2], charges) == (name, 2)


@pytest.mark.parametrize("bad", [20, MANY - 1])
def test_one_that_the_server_refuses_leaves_nothing_of_the_page(shop: Shop, parts: None, bad: int) -> None:
    page = [order(n) for n in range(MANY)]
    page[bad] = replace(page[bad], lines=(line(quantity=2**40),))
    with pytest.raises(DataError):
        ingest(shop.account, page, now=NOW)
    assert not Order.objects.exists()
    assert ingest(shop.account, page[:bad], now=NOW).written  # the connection is free again


def test_a_row_without_its_parent_is_refused_with_its_part(
    shop: Shop, parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Changes, "_leave_orders", lambda self, *_: self.order_ids.update(NOWHERE) or 0)
    with pytest.raises(IntegrityError):
        ingest(shop.account, [order(n) for n in range(MANY)], now=NOW)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM orders_orderline")
        assert cursor.fetchone() == (0,)


#: Keys of orders that are not there.
NOWHERE = {f"O{n}": -1 - n for n in range(MANY)}
