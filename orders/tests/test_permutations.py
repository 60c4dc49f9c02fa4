"""Six things happen to an order; however their news arrive, the order ends in the same state: 720 of 720."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from domventas.core.dump import Dump, canonical_dump
from marketplaces.connectors.amazon import amazon
from marketplaces.events import Arrived, Effect, Hint
from marketplaces.models import Account, InboundEvent
from marketplaces.port import Flow, RawPage
from marketplaces.records import ChargeRecord, FeeKind, LineStatus, OrderRecord, RefundRecord
from marketplaces.registry import connectors
from marketplaces.services import event_drain, raw
from marketplaces.services.inbox import accept
from orders.models import Order, OrderCharge, OrderLine
from orders.services.ingest import ingest
from orders.tests.conftest import BUYER, NOW, PRICE, Shop, line, order

FEE = ChargeRecord(kind=FeeKind.REFERRAL_FEE, amount=Decimal("-3.57"))
S = LineStatus
REFUND = RefundRecord(
    external_id="R1", refunded_at=NOW, quantity=1, reason="late",
    charges=(ChargeRecord(kind=FeeKind.ITEM_PRICE, amount=Decimal("-20.00")),),
)  # fmt: skip
GONE = {"status": S.CANCELED, "quantity_canceled": 1, "charges": ()}
#: Created, paid, changed (a line more), partly shipped, shipped, canceled with a refund: each version of the order.
VERSIONS: tuple[dict[str, Any], ...] = (
    {"lines": (line(1, status=S.PENDING, charges=()), line(2, status=S.PENDING, charges=())), "buyer": None},
    {"lines": (line(1), line(2)), "buyer": BUYER},
    {"lines": (line(1, quantity=3, title="renamed"), line(2), line(3)), "buyer": replace(BUYER, street="Neuer Wall 1")},
    {"lines": (line(1, quantity=3, status=S.PART_SHIPPED, quantity_shipped=1), line(2), line(3))},
    {
        "lines": (
            line(1, status=S.SHIPPED, quantity_shipped=3, charges=(*PRICE, FEE)),
            line(2, status=S.SHIPPED),
            line(3),
        )
    },
    {"lines": (line(1, **(GONE | {"charges": PRICE}), refunds=(REFUND,)), line(2, **GONE), line(3, **GONE))},
)
ARRIVALS = list(permutations(range(6)))


def version(number: int, index: int) -> OrderRecord:
    """What the source shows of an order after so many changes."""
    return order(f"-{number:03}", hour=index, **VERSIONS[index])


def dump_of(client: Any) -> dict[str, list[str]]:
    """The canonical dump, told apart by order: every lasting row that names it, with its own number taken out."""
    kept: Dump = canonical_dump(client)
    found: dict[str, list[str]] = {f"O-{number:03}": [] for number in range(len(ARRIVALS))}
    for table, rows in kept.items():
        # The log of changes tells the way, not the end: it keeps what was seen, in the order it was seen.
        if not table.startswith("orders_") or table == "orders_orderevent":
            continue
        for row in rows:
            text = f"{table} {' | '.join(row)}"
            name = "O-" + text.split("O-", 1)[1][:3]
            found[name].append(text.replace(name, "O"))
    return {name: sorted(rows) for name, rows in found.items()}


def judge(client: Any) -> None:
    """One state 720 times: the newest."""
    found = dump_of(client)
    assert len(found) == 720
    assert len({json.dumps(rows) for rows in found.values()}) == 1
    assert set(Order.objects.values_list("source_updated_at", flat=True)) == {version(0, 5).updated_at}
    assert set(OrderLine.objects.values_list("status", flat=True)) == {S.CANCELED.value}


def test_records_of_six_versions_end_in_one_state_in_each_of_720_orders(shop: Shop, client_dv: Any) -> None:
    """Every order of arrival is an order of its own, so a page of 720 is one step of all of them."""
    for step in range(6):
        ingest(shop.account, [version(n, arrival[step]) for n, arrival in enumerate(ARRIVALS)], now=NOW)
    judge(client_dv)


def test_within_one_page_too(shop: Shop, client_dv: Any) -> None:
    ingest(shop.account, [version(n, index) for n, arrival in enumerate(ARRIVALS) for index in arrival], now=NOW)
    judge(client_dv)


def test_a_line_no_longer_named_is_worth_nothing_in_each_order_of_arrival(shop: Shop) -> None:
    """Whether it was ever seen depends on the way; that nothing is owed for it does not."""
    for step in range(6):
        page = [version(n, arrival[step]) for n, arrival in enumerate(ARRIVALS)]
        kept = [replace(r, lines=r.lines[:2]) if r.updated_at == version(0, 5).updated_at else r for r in page]
        ingest(shop.account, kept, now=NOW)
    third = OrderLine.objects.filter(external_id="L3")
    assert 0 < third.count() < 720
    assert set(third.values_list("status", flat=True)) == {S.CANCELED.value}
    assert not OrderCharge.objects.filter(line__in=third).exists()
    assert OrderCharge.objects.count() == 720 * 3


class Source:
    """Amazon with copies that do not agree: what a fetch shows is the state of the event that led to it, old or not."""

    def __init__(self) -> None:
        self.shows: dict[str, int] = {}

    def fetch(self, session: Any, refs: Any) -> RawPage:
        body = json.dumps([[int(ref[2:]), self.shows[ref]] for ref in refs]).encode()
        return RawPage(body=body, content_type="application/json", name="orders")

    def translate(self, page: RawPage) -> Iterator[OrderRecord]:
        for number, index in json.loads(page.body):
            yield version(number, index)


@contextmanager
def lagging() -> Iterator[Source]:
    source = Source()
    assert amazon.orders is not None
    flow: Flow = replace(
        amazon.orders, fetch_one=lambda session, ref: source.fetch(session, [ref]), fetch_some=source.fetch,
        translate=source.translate, at_once=200,
    )  # fmt: skip
    connectors["amazon"] = replace(amazon, orders=flow, open=lambda door: None)
    try:
        yield source
    finally:
        connectors["amazon"] = amazon


def come(account: Account, events: list[tuple[int, int]], *, now: datetime) -> int:
    """Events of (order, version), as a queue would bring them."""
    arrived = [
        (Arrived(body=b"{}"), [
            Hint(event_id=f"{number}-{index}", kind="ORDER_CHANGE", effect=Effect.FETCH, flow="orders",
                 ref=f"O-{number:03}", occurred_at=version(number, index).updated_at)])
        for number, index in events
    ]  # fmt: skip
    return accept(account, "sqs", arrived, now=now)


@pytest.mark.django_db(transaction=True)
def test_events_in_all_720_orders_with_doubles_and_a_lagging_source_end_in_one_state(
    shop: Shop, client_dv: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each event the thing is fetched, and the source shows the state the event tells of, however old it is."""
    monkeypatch.setattr(event_drain, "open_door", lambda account, now: None)
    monkeypatch.setattr(raw.crypto, "encrypt", lambda data, client: "x:" + data.hex())  # the cost is not the point here
    monkeypatch.setattr(event_drain, "BATCH", 2000)
    moment = datetime(2026, 11, 21, 7, tzinfo=UTC)
    with lagging() as source:
        for step in range(6):
            events = [(number, arrival[step]) for number, arrival in enumerate(ARRIVALS)]
            doubled = [(number, arrival[step - 1]) for number, arrival in enumerate(ARRIVALS)] if step else []
            assert come(shop.account, events + doubled, now=moment) == 720
            source.shows = {f"O-{number:03}": index for number, index in events}
            done = event_drain.drain(shop.account, now=moment)
            assert (done.taken, done.done) == (720, 720)
            moment += timedelta(minutes=1)
        assert InboundEvent.objects.filter(state="done").count() == 6 * 720
    judge(client_dv)


@pytest.mark.django_db(transaction=True)
def test_whatever_copies_show_the_newest_seen_stays(
    shop: Shop, client_dv: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fetch may show any older state; once one has shown that the order is canceled, no late event revives it."""
    monkeypatch.setattr(event_drain, "open_door", lambda account, now: None)
    with lagging() as source:
        for turn, (event, shown) in enumerate([(5, 2), (0, 5), (4, 0), (1, 3), (5, 4), (2, 1)]):
            come(shop.account, [(0, event)], now=NOW + timedelta(hours=turn))
            source.shows = {"O-000": shown}
            event_drain.drain(shop.account, now=NOW + timedelta(hours=turn))
    assert Order.objects.get().source_updated_at == version(0, 5).updated_at
    assert set(OrderLine.objects.values_list("status", flat=True)) == {S.CANCELED.value}
