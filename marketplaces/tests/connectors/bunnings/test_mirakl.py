"""What is peculiar to the Mirakl protocol: both kinds of paging, tax modes, cancellations, the log's signs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from marketplaces.connectors.bunnings import OPERATOR, bunnings
from marketplaces.errors import Refused
from marketplaces.port import RawPage, SiteSpec, Window
from marketplaces.protocols.mirakl import Operator, mirakl_connector
from marketplaces.protocols.mirakl.orders import translate
from marketplaces.records import (
    FeeKind,
    LineStatus,
    MoneyEvent,
    OfferRecord,
    OrderRecord,
    TransactionRecord,
    TransactionState,
)
from marketplaces.services.windows import asked
from marketplaces.tests.connectors.doors import NOW, door, pages

WINDOW = Window(since=NOW.replace(month=10), until=NOW)


def order(number: int = 1, **line: Any) -> dict[str, Any]:
    position = {
        "order_line_id": f"W{number}-A-1",
        "order_line_state": "RECEIVED",
        "offer_id": 9007199254740993,
        "offer_sku": "COR-1",
        "product_sku": "I1",
        "product_title": "Zange",
        "category_code": "tools",
        "quantity": 2,
        "price": 20.0,
        "shipping_price": 5.0,
        "commission_fee": 3.0,
        "total_commission": 3.3,
        "cancelations": [],
        "refunds": [],
        **line,
    }
    return {
        "order_id": f"W{number}-A",
        "commercial_id": f"W{number}",
        "created_date": "2026-10-01T00:00:00Z",
        "last_updated_date": "2026-10-02T00:00:00Z",
        "currency_iso_code": "AUD",
        "order_tax_mode": "TAX_INCLUDED",
        "total_price": 25.0,
        "customer": {"firstname": "Ann", "lastname": "Example"},
        "order_lines": [position],
    }


def page(name: str, rows: list[dict[str, Any]]) -> RawPage:
    return RawPage(body=json.dumps({name: rows}).encode(), content_type="", context={"seen_at": "2026-11-01T00:00:00Z"})


def one(row: dict[str, Any]) -> OrderRecord:
    (found,) = translate(page("orders", [row]), OPERATOR)
    assert isinstance(found, OrderRecord)
    return found


def test_a_line_has_price_shipping_and_the_stated_commission() -> None:
    found = one(order())
    assert {x.kind: x.amount for x in found.lines[0].charges} == {
        FeeKind.ITEM_PRICE: Decimal("20.0"),
        FeeKind.SHIPPING_PRICE: Decimal("5.0"),
        FeeKind.REFERRAL_FEE: Decimal("-3.0"),
        FeeKind.REFERRAL_FEE_TAX: Decimal("-0.3"),
    }
    assert (found.total, found.lines[0].category, found.lines[0].offer_ref) == (25, "tools", "9007199254740993")


def test_tax_is_a_charge_of_its_own_only_where_it_stands_beside_the_price() -> None:
    taxed = order(taxes=[{"code": "GST", "amount": 2.0}], shipping_taxes=[{"code": "GST", "amount": 0.5}])
    assert FeeKind.ITEM_TAX not in {x.kind for x in one(taxed).lines[0].charges}
    charges = {x.kind: x.amount for x in one({**taxed, "order_tax_mode": "TAX_EXCLUDED"}).lines[0].charges}
    assert (charges[FeeKind.ITEM_TAX], charges[FeeKind.SHIPPING_TAX]) == (Decimal("2.0"), Decimal("0.5"))


@pytest.mark.parametrize(
    ("state", "quantity", "canceled", "expected"),
    [
        ("SHIPPING", 2, 0, (2, 0, 0, LineStatus.TO_SHIP)),
        ("SHIPPED", 2, 1, (3, 2, 1, LineStatus.SHIPPED)),
        ("CLOSED", 2, 0, (2, 2, 0, LineStatus.CLOSED)),
        ("CANCELED", 2, 2, (2, 0, 2, LineStatus.CANCELED)),
        ("CANCELED", 0, 2, (2, 0, 2, LineStatus.CANCELED)),
        ("REFUSED", 2, 0, (2, 0, 2, LineStatus.REFUSED)),
        ("ON_THE_MOON", 2, 1, (3, None, 1, LineStatus.UNKNOWN)),
    ],
)
def test_ordered_sent_and_canceled_pieces(
    state: str, quantity: int, canceled: int, expected: tuple[int, int | None, int, LineStatus]
) -> None:
    gone = [{"id": "c1", "quantity": canceled}] if canceled else []
    read = translate(page("orders", [order(order_line_state=state, quantity=quantity, cancelations=gone)]), OPERATOR)
    (line,) = next(found for found in read if isinstance(found, OrderRecord)).lines
    assert (line.quantity, line.quantity_shipped, line.quantity_canceled, line.status) == expected


def test_a_refund_takes_the_price_and_gives_the_commission_back() -> None:
    refund = {
        "id": "r1",
        "amount": 10.0,
        "shipping_amount": 0,
        "commission_amount": 1.5,
        "commission_tax_amount": 0.15,
        "quantity": 1,
        "reason_code": "17",
        "created_date": "2026-10-20T00:00:00Z",
    }
    (found,) = one(order(refunds=[refund])).lines[0].refunds
    assert {x.kind: x.amount for x in found.charges} == {
        FeeKind.ITEM_PRICE: Decimal("-10.0"),
        FeeKind.REFERRAL_FEE: Decimal("1.5"),
        FeeKind.REFERRAL_FEE_TAX: Decimal("0.15"),
    }
    assert (found.external_id, found.quantity, found.reason) == ("r1", 1, "17")


def log(**changes: Any) -> TransactionRecord:
    row = {
        "id": "t1",
        "type": "COMMISSION_FEE",
        "amount": 3.0,
        "currency_iso_code": "AUD",
        "payment_state": "PAYABLE",
        "date_created": "2026-10-05T00:00:00Z",
        "entities": {"order": {"id": "W1-A"}, "order_line": {"id": "W1-A-1"}},
        **changes,
    }
    (found,) = bunnings.flows["transactions"].translate(page("data", [row]))
    assert isinstance(found, TransactionRecord)
    return found


def test_amounts_of_the_log_are_credited_less_debited() -> None:
    assert log(amount=3.0, amount_credited=0, amount_debited=3.0).amount == Decimal("-3.0")
    assert log(amount=-3.0, amount_credited=0, amount_debited=-3.0).amount == Decimal("-3.0")
    assert log(amount=-3.0).amount == Decimal("-3.0")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("PENDING", TransactionState.DEFERRED),
        ("RESERVE", TransactionState.DEFERRED),
        ("PAYABLE", TransactionState.RELEASED),
        ("PAID", TransactionState.SETTLED),
    ],
)
def test_the_states_of_money(state: str, expected: TransactionState) -> None:
    assert log(payment_state=state).state is expected


def test_a_log_line_is_a_line_of_its_billing_cycle() -> None:
    found = log(seller_billing_cycle_id="cycle-1", type="REFUND_COMMISSION_FEE")
    assert (found.settlement_ref, found.event) == ("cycle-1", MoneyEvent.REFUND)
    assert found.line is not None
    assert (found.line.line_ref, found.line.raw_type) == ("t1", "refund_commission_fee")
    assert (found.line.order_ref, found.line.order_line_ref) == ("W1-A", "W1-A-1")
    assert log(entities={}, type="SUBSCRIPTION_FEE").event is MoneyEvent.ACCOUNT


def cycle(flow: str, **pay_out: Any) -> Any:
    row = {
        "id": "cycle-1",
        "date_created": "2026-10-01T00:00:00Z",
        "currency_iso_code": "AUD",
        "amount_transferred_to_seller": 10.0,
        "pay_out": pay_out,
    }
    (found,) = bunnings.flows[flow].translate(page("data", [row]))
    return found


@pytest.mark.parametrize("flow", ["settlements", "payouts"])
def test_a_transfer_is_dated_by_the_day_where_the_shops_banks_are(flow: str) -> None:
    evening_in_utc = cycle(flow, state="PAID", transaction_date="2026-10-03T14:30:00Z")
    assert evening_in_utc.paid_on == date(2026, 10, 4)
    assert cycle(flow, state="PAID", transaction_date="2026-10-03T04:30:00Z").paid_on == date(2026, 10, 3)


def test_a_transfer_that_failed_at_first_is_looked_at_for_months() -> None:
    for flow in (bunnings.flows["settlements"], bunnings.flows["payouts"]):
        day = (NOW - timedelta(days=1), NOW)
        assert asked(day, flow, now=NOW).since <= NOW - timedelta(days=60)


def test_a_country_is_told_in_two_letters() -> None:
    row = order()
    row["customer"]["shipping_address"] = {"lastname": "Example", "country": "Austria", "country_iso_code": "AUT"}
    assert one(row).buyer.country == "AT"  # type: ignore[union-attr]  # there is one


def moving(httpserver: HTTPServer, orders: list[dict[str, Any]], gone_after: int) -> str:
    """A server whose second answer already misses the first order, so that all others moved up by one."""
    asked = [0]

    def answer(request: Request) -> Response:
        asked[0] += 1
        rows = orders if asked[0] <= gone_after else orders[1:]
        first, size = int(request.args["offset"]), int(request.args["max"])
        body = {"orders": rows[first : first + size], "total_count": len(rows)}
        return Response(json.dumps(body), content_type="application/json")

    httpserver.expect_request("/bunnings/api/orders").respond_with_handler(answer)
    return httpserver.url_for("")


@pytest.mark.parametrize("gone_after", [0, 1, 2, 3, 9])
def test_no_order_is_missed_when_rows_move_up_while_paging(httpserver: HTTPServer, gone_after: int) -> None:
    orders = [order(i) for i in range(350)]
    session = bunnings.open(door(bunnings, moving(httpserver, orders, gone_after), limits={}))
    flow = bunnings.flows["orders"]
    found = {r.external_id for p in pages(flow.fetch, session, WINDOW) for r in flow.translate(p)}  # type: ignore[union-attr]  # orders
    assert found >= {row["order_id"] for row in orders[1:]}


def test_a_page_token_travels_without_filters(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/bunnings/api/sellerpayment/transactions_logs").respond_with_json({"data": []})
    session, fetch = (
        bunnings.open(door(bunnings, httpserver.url_for(""), limits={})),
        bunnings.flows["transactions"].fetch,
    )
    assert fetch is not None
    fetch(session, WINDOW, "")
    fetch(session, WINDOW, "abc")
    first, second = (dict(request.args) for request, _ in httpserver.log)
    assert first == {"last_updated_from": "2026-10-01T00:00:00Z", "limit": "2000", "shop_id": "2042"}
    assert second == {"page_token": "abc", "limit": "2000", "shop_id": "2042"}
    assert httpserver.log[0][0].headers["Authorization"] == "sandbox-bunnings-key"


def test_a_page_number_nobody_wrote_is_refused(httpserver: HTTPServer) -> None:
    session, fetch = bunnings.open(door(bunnings, httpserver.url_for(""), limits={})), bunnings.flows["orders"].fetch
    assert fetch is not None
    with pytest.raises(Refused):
        fetch(session, WINDOW, "nonsense")


def test_another_operator_is_a_configuration_and_nothing_else() -> None:
    site = SiteSpec(
        code="decathlon.de", label="Decathlon.de", country="DE", currency="EUR", zone="Europe/Berlin", external_id="x"
    )
    other = mirakl_connector(
        name="decathlon",
        label="Decathlon",
        package="none",
        operator=Operator(site=site, categories={"tools": "sports"}),
    )
    assert set(other.flows) == set(bunnings.flows)
    euro = replace(OPERATOR, site=site, categories={"tools": "sports"})
    (found,) = translate(page("orders", [order()]), euro)
    assert isinstance(found, OrderRecord)
    assert (found.site, found.lines[0].category) == ("decathlon.de", "sports")


def test_an_offer_out_of_sale_says_why() -> None:
    row = {
        "offer_id": 1,
        "shop_sku": "COR-1",
        "active": False,
        "inactivity_reasons": ["ZERO_QUANTITY"],
        "currency_iso_code": "AUD",
        "price": 9.9,
        "quantity": 0,
        "product_references": [{"reference_type": "EAN", "reference": "4006381333931"}],
    }
    (found,) = bunnings.flows["offers"].translate(page("offers", [row]))
    assert isinstance(found, OfferRecord)
    assert (found.raw_status, found.quantity, found.eans) == ("ZERO_QUANTITY", 0, ("4006381333931",))
