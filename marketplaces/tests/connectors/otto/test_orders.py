"""Otto's orders: a line for every piece, money with its VAT apart, states and returns as the order tells them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from marketplaces.connectors.otto import otto
from marketplaces.connectors.otto.orders import fetch, fetch_one, translate
from marketplaces.errors import Malformed, Refused
from marketplaces.port import RawPage, Window
from marketplaces.records import Drift, FeeKind, LineStatus, OrderLineRecord, OrderRecord, Rejected
from marketplaces.sandbox.server import start
from marketplaces.tests.connectors.doors import NOW, door, pages

CHAIR = "80ab51d6-5e65-4f66-9fee-8b227861fc83"
OTHER = "a49350ee-2783-407c-a841-5a8edc290331"
ADDRESS = {
    "salutation": "MR", "firstName": "Max", "lastName": "Mustermann", "street": "Musterstraße", "houseNumber": "12",
    "zipCode": "20095", "city": "Hamburg", "countryCode": "DEU",
}  # fmt: skip


def money(amount: str) -> dict[str, Any]:
    return {"amount": float(amount), "currency": "EUR"}


def piece(ref: str, status: str = "PROCESSABLE", **changed: Any) -> dict[str, Any]:
    """A chair for 119.00."""
    return {
        "positionItemId": ref,
        "fulfillmentStatus": status,
        "itemValueGrossPrice": money("119.00"),
        "product": {
            "sku": "CHAIR-3000-BK", "ean": "4006381333931", "articleNumber": "95221338", "vatRate": 19.0,
            "productTitle": "Bürostuhl Ergo 3000",
        },
        "expectedDeliveryDate": "2026-03-12T23:00:00.000Z",
        **changed,
    }  # fmt: skip


def order(*pieces: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """An order as Otto writes it."""
    return {
        "salesOrderId": "2e57d63f-11f4-4baf-9b56-cee829389a0e",
        "orderNumber": "bu5h6x7zkm",
        "orderDate": "2026-03-09T12:00:02.123Z",
        "lastModifiedDate": "2026-03-09T12:35:10.113Z",
        "orderLifecycleInformation": {"lifecycleChangeDate": "2026-03-09T12:35:10.113Z"},
        "payment": {"paymentMethod": "PAYPAL"},
        "invoiceAddress": ADDRESS | {"email": "x1y2@kunde.otto.example"},
        "deliveryAddress": ADDRESS,
        "positionItems": list(pieces) or [piece(CHAIR), piece(OTHER)],
        **changed,
    }


def read(row: dict[str, Any]) -> list[Any]:
    return list(translate(RawPage(body=json.dumps({"resources": [row]}).encode(), content_type="application/json")))


def the_order(row: dict[str, Any]) -> OrderRecord:
    (found,) = read(row)
    assert isinstance(found, OrderRecord), found
    return found


def charges(line: OrderLineRecord) -> dict[str, Decimal]:
    return {str(charge.kind): charge.amount for charge in line.charges}


def test_every_piece_is_a_line_of_its_own_with_the_vat_apart() -> None:
    found = the_order(order())
    assert (found.external_id, found.alias) == ("2e57d63f-11f4-4baf-9b56-cee829389a0e", "bu5h6x7zkm")
    assert [line.external_id for line in found.lines] == [CHAIR, OTHER]
    assert {line.quantity for line in found.lines} == {1}
    assert [charges(line) for line in found.lines] == [
        {"item_price": Decimal("100.00"), "item_tax": Decimal("19.00")}
    ] * 2
    assert (found.total, found.total_kinds) == (None, frozenset())
    assert found.updated_at == datetime(2026, 3, 9, 12, 35, 10, 113000, UTC)
    assert found.buyer is not None
    assert (found.buyer.street, found.buyer.email) == ("Musterstraße 12", "x1y2@kunde.otto.example")


@pytest.mark.parametrize(
    ("gross", "rate", "net", "tax"),
    [
        ("9.99", 19.0, "8.39", "1.60"),
        ("0.01", 19.0, "0.01", None),
        ("10.70", 7.0, "10.00", "0.70"),
        ("5.00", 0, "5.00", None),
    ],
)
def test_vat_is_taken_out_of_the_price_by_the_pieces_own_rate(
    gross: str, rate: float, net: str, tax: str | None
) -> None:
    item = piece(CHAIR, itemValueGrossPrice=money(gross))
    item["product"]["vatRate"] = rate
    (line,) = the_order(order(item)).lines
    assert charges(line) == {"item_price": Decimal(net)} | ({"item_tax": Decimal(tax)} if tax else {})


@pytest.mark.parametrize("rate", [None, "much", -7, 100])
def test_a_price_without_a_proper_rate_is_set_aside_not_guessed(rate: Any) -> None:
    item = piece(CHAIR)
    item["product"]["vatRate"] = rate
    (found,) = read(order(item))
    assert isinstance(found, Rejected)
    assert "vatRate" in found.path


def test_a_delivery_fee_for_all_pieces_stands_once_on_the_first_that_is_not_canceled() -> None:
    fee = {
        "name": "DELIVERY_FEE_STANDARD",
        "deliveryFeeAmount": money("2.95"),
        "positionItemIds": [CHAIR, OTHER],
        "vatRate": 19.0,
    }
    both = the_order(order(initialDeliveryFees=[fee]))
    assert charges(both.lines[0])["shipping_price"] == Decimal("2.48")
    assert charges(both.lines[0])["shipping_tax"] == Decimal("0.47")
    assert "shipping_price" not in charges(both.lines[1])
    half = the_order(order(piece(CHAIR, "CANCELLED_BY_PARTNER"), piece(OTHER), initialDeliveryFees=[fee]))
    assert ["shipping_price" in charges(line) for line in half.lines] == [False, True]
    (found,) = read(order(initialDeliveryFees=[fee | {"positionItemIds": ["nobody"]}]))
    assert isinstance(found, Rejected)


def test_a_discount_of_ours_is_negative_and_carries_its_vat() -> None:
    discount = {
        "name": "PARTNER_DISCOUNT", "discountId": "SAVE10", "discountName": "Rabatt", "discountAmount": money("10.00"),
        "positionItemIds": [CHAIR], "vatRate": 19.0,
    }  # fmt: skip
    item = piece(CHAIR, itemValueDiscount=money("10.00"), itemValueReducedGrossPrice=money("109.00"))
    (line,) = the_order(order(item, initialDiscounts=[discount])).lines
    assert charges(line)["seller_discount"] == Decimal("-8.40")
    assert charges(line)["discount_tax"] == Decimal("-1.60")
    assert sum(charges(line).values()) == Decimal("109.00")
    found = read(order(item, initialDiscounts=[discount | {"name": "OTTO_DISCOUNT"}]))
    assert [x.value for x in found if isinstance(x, Drift)] == ["OTTO_DISCOUNT"]


@pytest.mark.parametrize(
    ("state", "status", "shipped", "canceled"),
    [
        ("ANNOUNCED", LineStatus.PENDING, 0, 0),
        ("PROCESSABLE", LineStatus.TO_SHIP, 0, 0),
        ("SENT", LineStatus.SHIPPED, 1, 0),
        ("RETURNED", LineStatus.CLOSED, 1, 0),
        ("CANCELLED_BY_PARTNER", LineStatus.CANCELED, 0, 1),
        ("CANCELLED_BY_MARKETPLACE", LineStatus.CANCELED, 0, 1),
        ("TELEPORTED", LineStatus.UNKNOWN, None, None),
    ],
)
def test_ottos_states_in_our_words(state: str, status: LineStatus, shipped: int | None, canceled: int | None) -> None:
    line = next(x for x in read(order(piece(CHAIR, state))) if isinstance(x, OrderRecord)).lines[0]
    assert (line.status, line.raw_status) == (status, state)
    assert (line.quantity_shipped, line.quantity_canceled) == (shipped, canceled)


def test_a_piece_that_came_back_gives_its_price_and_discount_back_but_no_delivery_fee() -> None:
    fee = {"name": "X", "deliveryFeeAmount": money("2.95"), "positionItemIds": [CHAIR], "vatRate": 19.0}
    item = piece(
        CHAIR, "RETURNED", itemValueDiscount=money("10.00"), sentDate="2026-03-10T08:00:00Z",
        returnedDate="2026-03-25T09:30:00Z",
    )  # fmt: skip
    (line,) = the_order(order(item, initialDeliveryFees=[fee])).lines
    (refund,) = line.refunds
    assert refund.external_id == f"{CHAIR}-return"
    assert refund.refunded_at == datetime(2026, 3, 25, 9, 30, tzinfo=UTC)
    assert sum(charge.amount for charge in refund.charges) == Decimal("-109.00")
    assert FeeKind.SHIPPING_PRICE not in {charge.kind for charge in refund.charges}
    assert (line.shipped_at, line.delivered_at) == (datetime(2026, 3, 10, 8, tzinfo=UTC), None)


def test_an_announced_order_has_no_address_and_a_canceled_piece_no_day_of_arrival() -> None:
    row = order(piece(CHAIR, "ANNOUNCED"))
    del row["deliveryAddress"], row["invoiceAddress"]
    assert the_order(row).buyer is None
    item = piece(CHAIR, "CANCELLED_BY_PARTNER")
    del item["expectedDeliveryDate"]
    assert the_order(order(item)).lines[0].ship_by is None
    assert the_order(order()).lines[0].ship_by == datetime(2026, 3, 12, 23, tzinfo=UTC)


def test_amounts_in_two_currencies_and_an_order_without_pieces_are_set_aside() -> None:
    pounds = piece(OTHER, itemValueGrossPrice={"amount": 1.0, "currency": "GBP"})
    for row in (order(piece(CHAIR), pounds), order() | {"positionItems": []}):
        (found,) = read(row)
        assert isinstance(found, Rejected)


def test_a_field_nobody_described_is_noted() -> None:
    found = read(order(giftWrap=True))
    assert [x.path for x in found if isinstance(x, Drift)] == ["resources[].giftWrap"]


def test_the_cursor_replaces_the_question_and_only_its_value_travels(httpserver: HTTPServer) -> None:
    token = {"access_token": "eyJ-secret", "expires_in": 1800, "token_type": "Bearer"}
    link = {"rel": "next", "href": "https://api.otto.market/v4/orders?nextcursor=MjAyNi0wMw%3D%3D&limit=128"}
    httpserver.expect_request("/otto/v1/token").respond_with_json(token)
    httpserver.expect_request("/otto/v4/orders").respond_with_json({"resources": [], "links": [link]})
    opened = door(otto, httpserver.url_for(""))
    session, flow = otto.open(opened), otto.flows["orders"]
    assert flow.fetch is not None
    window = Window(since=NOW - timedelta(days=3), until=NOW)
    page = flow.fetch(session, window, "")
    assert page.next_token == "MjAyNi0wMw=="
    with pytest.raises(Malformed, match="never end"):
        flow.fetch(session, window, page.next_token)
    token_call, first, second = opened.http.calls  # type: ignore[attr-defined]  # the recording client
    assert token_call.operation == "token"
    assert first.params == {
        "fromDate": "2026-10-29T00:00:00Z", "orderColumnType": "ORDER_LIFECYCLE_DATE", "orderDirection": "ASC",
        "limit": "128",
    }  # fmt: skip
    assert second.params == {"nextcursor": "MjAyNi0wMw==", "limit": "128"}


@pytest.mark.parametrize("href", ["/v4/orders?limit=128", "/v4/orders"])
def test_a_next_link_without_a_cursor_is_refused(httpserver: HTTPServer, href: str) -> None:
    httpserver.expect_request("/otto/v1/token").respond_with_json({"access_token": "eyJ-secret", "expires_in": 1800})
    answer = {"resources": [], "links": [{"rel": "self", "href": "/x"}, {"rel": "next", "href": href}]}
    httpserver.expect_request("/otto/v4/orders").respond_with_json(answer)
    fetch = otto.flows["orders"].fetch
    assert fetch is not None
    with pytest.raises(Malformed, match="nextcursor"):
        fetch(otto.open(door(otto, httpserver.url_for(""))), Window(since=NOW, until=NOW), "")


def test_the_archive_can_be_cleared_of_people() -> None:
    from marketplaces.redact import blank

    cut = order()
    cut["positionItems"][0]["product"]["productTitle"] = "Vase \ud83d"  # half a character
    body = json.dumps({"resources": [cut]}).encode()
    cleared = blank(body, otto.flows["orders"].pii_paths)
    for secret in (b"Mustermann", b"Muster", b"kunde.otto.example", b"20095"):
        assert secret not in cleared
    again = list(translate(RawPage(body=cleared, content_type="application/json")))
    assert [replace(x, buyer=None) for x in again] == [replace(x, buyer=None) for x in read(cut)]


def test_one_order_reads_as_it_does_in_the_list_by_its_id_and_by_its_number() -> None:
    with start(seed=11, orders=60, days=20, skus=20, now=NOW, faults="none", speed=1e6) as sandbox:
        session = otto.open(door(otto, sandbox.url))
        window = Window(since=NOW - timedelta(days=12), until=NOW)
        polled = [x for page in pages(fetch, session, window) for x in translate(page) if isinstance(x, OrderRecord)]
        assert len(polled) > 2
        for record in polled[:3]:
            for ref in (record.external_id, record.alias):
                assert list(translate(fetch_one(session, ref))) == [record]
        for ref in ("nobody-knows", "a/../b?c=d"):
            with pytest.raises(Refused):
                fetch_one(session, ref)


@pytest.mark.parametrize("body", [b"[]", b"null", b"<html>", b""])
def test_one_order_that_is_none_is_refused(httpserver: HTTPServer, body: bytes) -> None:
    httpserver.expect_request("/otto/v1/token").respond_with_json({"access_token": "eyJ-secret", "expires_in": 1800})
    httpserver.expect_request("/otto/v4/orders/X").respond_with_data(body, content_type="application/json")
    with pytest.raises(Malformed):
        fetch_one(otto.open(door(otto, httpserver.url_for(""))), "X")
