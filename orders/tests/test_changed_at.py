"""The mark of a change never runs backwards, so that whoever reads what is new misses nothing."""

from __future__ import annotations

from datetime import timedelta

from orders.models import OrderLine
from orders.services.ingest import ingest
from orders.tests.conftest import NOW, Shop, order


def test_a_long_reading_marks_its_lines_no_earlier_than_what_was_written_meanwhile(shop: Shop) -> None:
    later = NOW + timedelta(hours=3)
    ingest(shop.account, [order()], now=later)
    ingest(shop.account, [order(external_id="O-2")], now=NOW)
    assert set(OrderLine.objects.values_list("changed_at", flat=True)) == {later}
