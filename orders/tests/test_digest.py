"""A record that is the stored one costs a look at its digest, and only where nothing is left to be found out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.testing import statements
from marketplaces.records import FeeKind, OrderRecord
from orders.models import Order, OrderLine
from orders.services.digest import digest
from orders.services.ingest import Ingested, ingest
from orders.tests.conftest import NOW, Shop, line, order

pytestmark = pytest.mark.db


def ingested(shop: Shop, records: list[OrderRecord], **how: bool) -> tuple[Ingested, int]:
    """What became of them, and in how many statements."""
    with CaptureQueriesContext(connection) as queries:
        done = ingest(shop.account, records, now=NOW + timedelta(hours=1), **how)
    return done, statements(queries)


def test_records_that_are_the_stored_ones_cost_one_question(shop: Shop) -> None:
    page = [order(n) for n in range(60)]
    ingest(shop.account, page, now=NOW)
    done, asked = ingested(shop, page)
    assert (done.seen, done.written, asked) == (60, 0, 4)  # lock, digests, and the savepoint around
    changed = [replace(page[0], alias="other", updated_at=page[0].updated_at + timedelta(hours=1)), *page[1:]]
    done, _ = ingested(shop, changed)
    assert done.written == 2  # the order and its buyer, who comes with every newer one
    assert Order.objects.get(external_id=page[0].external_id).alias == "other"


def test_a_line_that_waits_for_its_offer_is_looked_up_again(shop: Shop) -> None:
    page = [order(n, lines=(line(1, offer_ref="NEW", seller_sku="NEW"),)) for n in range(2)]
    ingest(shop.account, page, now=NOW)
    assert set(Order.objects.values_list("digest", flat=True)) == {""}
    shop.sku("ALBA-1").identifiers.create(kind="seller_sku", channel=shop.account.channel, value="NEW")
    ingested(shop, page)
    assert set(OrderLine.objects.values_list("hold", flat=True)) == {""}


def test_reading_the_archive_again_puts_right_what_was_damaged(shop: Shop) -> None:
    page = [order(n) for n in range(2)]
    ingest(shop.account, page, now=NOW)
    OrderLine.objects.update(quantity=9)
    assert ingested(shop, page)[0].written == 0
    assert ingested(shop, page, trusts_digest=False)[0].written > 0
    assert set(OrderLine.objects.values_list("quantity", flat=True)) == {1}


def test_a_digest_tells_every_part_of_a_record_and_no_order_of_sets() -> None:
    one = order(total_kinds=frozenset([FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX, FeeKind.SHIPPING_PRICE]))
    same = order(total_kinds=frozenset([FeeKind.SHIPPING_PRICE, FeeKind.ITEM_TAX, FeeKind.ITEM_PRICE]))
    assert digest(one) == digest(same)
    others = [
        replace(one, alias="x"), replace(one, total_kinds=frozenset()), replace(one, buyer=None),
        replace(one, lines=(replace(one.lines[0], charges=()),)), replace(one, is_business=not one.is_business),
    ]  # fmt: skip
    assert len({digest(one), *map(digest, others)}) == 6
