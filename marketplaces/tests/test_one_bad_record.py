"""A record the database itself refuses: it stands alone in quarantine, and never takes its page along."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from domventas.core import bulk
from marketplaces.models import Account, Quarantined, Stream, StreamDay
from marketplaces.port import RawPage, Translated
from marketplaces.records import Rejected
from marketplaces.registry import connectors
from marketplaces.services.pull import pull_stream
from marketplaces.services.reprocess import reprocess
from marketplaces.tests.support import NOW, Toy
from orders.models import Order, OrderLine

TOO_MANY = 3_000_000_000  # a number to every program, yet more than the column holds


def pull(account: Account, **how):
    return pull_stream(account, "orders", now=NOW, sleep=lambda seconds: None, **how)


def swell(toy: Toy, *refs: str) -> None:
    """These orders are told with a quantity that cannot be stored."""
    for ref in refs:
        toy.orders[ref] = (toy.orders[ref][0], TOO_MANY)


@pytest.mark.parametrize("many", [7, bulk.COPY_FROM + 7])  # written by one statement, and staged first
def test_what_the_database_refuses_is_found_by_halving(toy: Toy, account: Account, many: int):
    toy.page_size = many
    toy.fill(many, every=timedelta(seconds=20))
    swell(toy, "T-004")
    result = pull(account)
    assert (result.state, result.tally.quarantined, result.tally.written > 0) == ("done", 1, True)
    assert Order.objects.count() == OrderLine.objects.count() == many - 1
    assert sum(StreamDay.objects.values_list("accepted", flat=True)) == many - 1
    item = Quarantined.objects.get()
    assert (item.external_id, item.reason) == ("T-004", "integer out of range")
    assert Stream.objects.get(account=account, flow="orders").complete_until == NOW


def test_a_mended_record_leaves_quarantine(toy: Toy, account: Account):
    toy.page_size = 10
    toy.fill(3, every=timedelta(minutes=1))
    swell(toy, "T-001")
    pull(account)
    toy.orders["T-001"] = (toy.orders["T-001"][0], 2)
    pull(account, since=NOW - timedelta(minutes=60))
    assert Quarantined.objects.get().resolved_at == NOW
    assert OrderLine.objects.get(order__external_id="T-001").quantity == 2


def test_a_record_of_no_name_leaves_quarantine_when_its_document_reads_well(toy: Toy, account: Account):
    """As a file whose first row nobody could read, once our reader has learned to."""
    toy.page_size = 10
    toy.fill(3, every=timedelta(minutes=1))
    flow = connectors["toy"].flows["orders"]
    read = flow.translate

    def too_strict(page: RawPage) -> Iterator[Translated]:
        records = list(read(page))
        yield from records[1:]
        yield from (Rejected(path="first", reason="odd", excerpt=b"first") for _ in records[:1])

    object.__setattr__(flow, "translate", too_strict)
    pull(account)
    item = Quarantined.objects.get()
    assert (item.external_id, item.resolved_at, Order.objects.count()) == ("", None, 2)
    reprocess([account], now=NOW)
    item.refresh_from_db()
    assert item.resolved_at is None
    object.__setattr__(flow, "translate", read)
    reprocess([account], now=NOW)
    item.refresh_from_db()
    assert (item.resolved_at, Order.objects.count()) == (NOW, 3)


def test_a_page_of_which_nothing_fits_stops_the_stream(toy: Toy, account: Account):
    """It is our fault then, and mending us must find the records where they are."""
    toy.page_size = 10
    toy.fill(3, every=timedelta(minutes=1))
    swell(toy, "T-000", "T-001", "T-002")
    result = pull(account)
    assert (result.state, Order.objects.count(), Quarantined.objects.count()) == ("failed", 0, 0)
    covered = Stream.objects.get(account=account, flow="orders").complete_until
    assert covered is None or covered < min(toy.placed.values())
