"""Bunnings' side: key and shop, ceilings, both kinds of paging, states of orders and money over time."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from marketplaces.sandbox.server import Sandbox

from .conftest import NOW, Call, bunnings_of, call

LOG = "/api/sellerpayment/transactions_logs"


def all_orders(sandbox: Sandbox, ask: Call, **query: Any) -> list[dict[str, Any]]:
    """Following the Link header, as Mirakl wants it."""
    reply = ask("/api/orders", {"max": 20, **query})
    found = []
    while True:
        assert reply.status == 200, reply.body
        found += reply.data["orders"]
        link = re.search(r'<([^>]+)>; rel="next"', reply.headers.get("link", ""))
        if not link:
            assert len(found) == reply.data["total_count"]
            return found
        reply = call(link[1], headers={"Authorization": "sandbox-bunnings-key"})


def all_data(ask: Call, path: str, **query: Any) -> list[dict[str, Any]]:
    found, token = [], None
    while True:
        reply = ask(path, {"page_token": token} if token else {"limit": 100, **query})
        assert reply.status == 200, reply.body
        found += reply.data["data"]
        token = reply.data.get("next_page_token")
        if not token:
            return found


def test_only_the_bare_key_of_the_shop_opens(small_sandbox: Sandbox, bunnings: Call) -> None:
    for header in ({}, {"Authorization": "guess"}, {"Authorization": "Bearer sandbox-bunnings-key"}):
        reply = call(f"{small_sandbox.url}/bunnings/api/account", headers=header)
        assert (reply.status, reply.data["status"]) == (401, 401)
    assert bunnings("/api/account", {"shop_id": 2042}).data["shop_id"] == 2042
    assert bunnings("/api/account", {"shop_id": 1}).status == 403


def test_calls_above_the_ceiling_are_told_how_long_to_wait(sandbox: Sandbox) -> None:
    sandbox.state.buckets.speed = 0.1
    ask = bunnings_of(sandbox)
    replies = [ask("/api/orders") for _ in range(21)]
    assert [reply.status for reply in replies] == [200] * 20 + [429]
    assert int(replies[-1].headers["retry-after"]) > 500
    assert ask(LOG).status == 200


def test_pages_by_offset_hold_every_order_once(small_sandbox: Sandbox, bunnings: Call) -> None:
    found = [order["order_id"] for order in all_orders(small_sandbox, bunnings)]
    expected = [o.ref for o in small_sandbox.state.world.orders["bunnings-au"] if o.created_at <= NOW]
    assert found == expected


def test_pages_by_seek_hold_every_line_once_though_the_clock_moves(sandbox: Sandbox) -> None:
    ask = bunnings_of(sandbox)
    whole = [line["id"] for line in all_data(ask, LOG)]
    assert len(whole) == len(set(whole)) > 100
    first = ask(LOG, {"limit": 50}).data
    sandbox.set_clock(NOW + timedelta(days=3))
    found = [line["id"] for line in first["data"]]
    token = first["next_page_token"]
    while token:
        page = ask(LOG, {"page_token": token}).data
        found += [line["id"] for line in page["data"]]
        token = page.get("next_page_token")
    assert found == whole


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/orders", {"max": 101}),
        ("/api/orders", {"start_update_date": "yesterday"}),
        (LOG, {"limit": 2001}),
        (LOG, {"page_token": "guess"}),
    ],
)
def test_odd_parameters_are_refused(bunnings: Call, path: str, query: dict[str, Any]) -> None:
    reply = bunnings(path, query)
    assert (reply.status, reply.data["status"]) == (400, 400)


def test_an_order_goes_from_acceptance_to_closed_as_the_clock_moves(sandbox: Sandbox) -> None:
    order = next(
        o
        for o in sandbox.state.world.orders["bunnings-au"]
        if len(o.lines) == 1 and o.closed_at and o.created_at < NOW - timedelta(days=30)
    )
    line = order.lines[0]
    assert line.shipped_at and line.delivered_at and order.closed_at
    ask = bunnings_of(sandbox)
    seen = []
    for moment in (order.created_at, order.confirmed_at, line.shipped_at, line.delivered_at, order.closed_at):
        sandbox.set_clock(moment)
        (view,) = ask("/api/orders", {"order_ids": order.ref}).data["orders"]
        seen.append(view["order_state"])
        assert (view["customer"]["shipping_address"] is not None) == (len(seen) > 1)
    assert seen == ["WAITING_ACCEPTANCE", "SHIPPING", "SHIPPED", "RECEIVED", "CLOSED"]


def test_an_orders_lines_sum_to_its_total(small_sandbox: Sandbox, bunnings: Call) -> None:
    for order in all_orders(small_sandbox, bunnings):
        alive = [x for x in order["order_lines"] if x["order_line_state"] not in ("CANCELED", "REFUSED")]
        total = sum(Decimal(str(x["price"])) + Decimal(str(x["shipping_price"])) for x in alive)
        assert total == Decimal(str(order["total_price"]))


def test_lines_of_a_cycle_sum_to_what_it_transfers_but_for_planted_mismatches(
    small_sandbox: Sandbox, bunnings: Call
) -> None:
    sums: Counter[str] = Counter()
    for line in all_data(bunnings, LOG):
        if line["type"] != "PAYMENT":
            sums[line.get("seller_billing_cycle_id", "")] += round(line["amount"] * 100)
    told = {
        row["refs"]["settlement"]: round(float(row["amount"]) * 100)
        for row in small_sandbox.truth()
        if row["fault"] == "header_mismatch"
    }
    cycles = all_data(bunnings, "/api/seller-billing-cycles")
    without_lines = [c for c in cycles if c["id"] not in sums and c["amount_transferred_to_seller"]]
    assert len(without_lines) == 1
    for cycle in cycles:
        if cycle not in without_lines:
            stated = round(cycle["amount_transferred_to_seller"] * 100)
            assert stated - sums[cycle["id"]] == told.get(cycle["id"], 0)


def test_money_is_pending_then_payable_then_paid(sandbox: Sandbox) -> None:
    world = sandbox.state.world
    entry = next(e for e in world.entries["bunnings-au"] if e.event == "sale" and e.line and not e.line.refund)
    cycle = next(s for s in world.statements["bunnings-au"] if s.ref == entry.statement)
    assert entry.line
    ask = bunnings_of(sandbox)
    seen = []
    for moment in (entry.created_at, entry.at, cycle.issued_at, cycle.paid_at):
        sandbox.set_clock(moment)
        lines = ask(LOG, {"order_line_id": entry.line.ref, "limit": 100}).data["data"]
        assert {line["payment_state"] for line in lines} == {lines[0]["payment_state"]}
        seen.append((lines[0]["payment_state"], "seller_billing_cycle_id" in lines[0]))
    assert seen == [("PENDING", False), ("PAYABLE", False), ("PAYABLE", True), ("PAID", True)]


def test_a_refund_stands_on_the_order_line_and_in_the_log(small_sandbox: Sandbox, bunnings: Call) -> None:
    refunded = [
        (line["order_line_id"], refund)
        for order in all_orders(small_sandbox, bunnings)
        for line in order["order_lines"]
        for refund in line["refunds"]
    ]
    assert len(refunded) >= 10
    log = {
        (line["entities"]["order_line"]["id"], line["entities"]["refund"]["id"]): line["amount"]
        for line in all_data(bunnings, LOG, transaction_type="REFUND_ORDER_AMOUNT")
    }
    for line_id, refund in refunded:
        assert log[line_id, refund["id"]] == -refund["amount"]


def test_the_log_can_be_asked_for_what_changed(bunnings: Call) -> None:
    lines = all_data(bunnings, LOG, last_updated_from="2026-11-15T00:00:00Z", sort="lastUpdated", order="asc")
    times = [line["last_updated"] for line in lines]
    assert times and times == sorted(times) and times[0] >= "2026-11-15"


def test_offers_show_price_stock_and_ean(bunnings: Call) -> None:
    reply = bunnings("/api/offers", {"max": 100}).data
    assert reply["total_count"] > 100
    assert all(offer["product_references"][0]["reference_type"] == "EAN" for offer in reply["offers"])
    assert {offer["active"] for offer in reply["offers"]} == {True, False}


def test_every_cycle_has_its_invoice(bunnings: Call) -> None:
    cycles = all_data(bunnings, "/api/seller-billing-cycles")
    assert bunnings("/api/invoices", {"max": 100}).data["total_count"] == len(cycles)
