"""Amazon orders read one by one: money with our signs, statuses line by line, what is missing stays unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from marketplaces.connectors.amazon.orders import translate
from marketplaces.port import RawPage
from marketplaces.records import BuyerRecord, Drift, FeeKind, LineStatus, OrderRecord, Rejected


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currencyCode": "EUR"}


def order(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "orderId": "303-1",
        "createdTime": "2026-10-01T10:00:00Z",
        "lastUpdatedTime": "2026-10-02T10:00:00+02:00",
        "salesChannel": {"channelName": "AMAZON", "marketplaceId": "A1PA6795UKMFR9"},
        "fulfillment": {"fulfillmentStatus": "SHIPPED", "fulfilledBy": "MERCHANT"},
        "proceeds": {
            "grandTotal": money("20.11"),
            "breakdowns": [
                {"type": "ITEM", "subtotal": money("15.00")},
                {"type": "SHIPPING", "subtotal": money("3.00")},
                {"type": "DISCOUNT", "subtotal": money("-1.10")},
                {"type": "TAX", "subtotal": money("3.21")},
            ],
        },
        "orderItems": [
            {
                "orderItemId": "77",
                "quantityOrdered": 3,
                "product": {"asin": "B01", "sellerSku": "ALB-1", "title": "Vase"},
                "fulfillment": {"quantityFulfilled": 3, "quantityUnfulfilled": 0},
                "proceeds": {
                    "breakdowns": [
                        {"type": "ITEM", "subtotal": money("15.00")},
                        {"type": "SHIPPING", "subtotal": money("3.00")},
                        {"type": "DISCOUNT", "subtotal": money("-1.10")},
                        {
                            "type": "TAX",
                            "subtotal": money("3.21"),
                            "detailedBreakdowns": [
                                {"subtype": "ITEM", "value": money("2.85")},
                                {"subtype": "SHIPPING", "value": money("0.57")},
                                {"subtype": "DISCOUNT", "value": money("-0.21")},
                            ],
                        },
                    ]
                },
            }
        ],
    }
    return {**made, **changes}


def read(row: dict[str, Any]) -> list[Any]:
    return list(translate(RawPage(body=json.dumps({"orders": [row]}).encode(), content_type="application/json")))


def one(row: dict[str, Any]) -> OrderRecord:
    found = [x for x in read(row) if isinstance(x, OrderRecord)]
    assert len(found) == 1
    return found[0]


def item(**changes: Any) -> dict[str, Any]:
    return {**order()["orderItems"][0], **changes}


def test_charges_are_split_by_what_they_are_for_and_add_up_to_the_total() -> None:
    found = one(order())
    charges = {x.kind: x.amount for x in found.lines[0].charges}
    assert charges == {
        FeeKind.ITEM_PRICE: Decimal("15.00"),
        FeeKind.SHIPPING_PRICE: Decimal("3.00"),
        FeeKind.SELLER_DISCOUNT: Decimal("-1.10"),
        FeeKind.ITEM_TAX: Decimal("2.85"),
        FeeKind.SHIPPING_TAX: Decimal("0.57"),
        FeeKind.DISCOUNT_TAX: Decimal("-0.21"),
    }
    assert sum(charges.values()) == found.total == Decimal("20.11")
    assert found.total_kinds == frozenset(charges)


def test_a_discount_written_without_a_minus_is_negative_all_the_same() -> None:
    row = order()
    row["orderItems"][0]["proceeds"]["breakdowns"][2]["subtotal"] = money("1.10")
    assert {x.kind: x.amount for x in one(row).lines[0].charges}[FeeKind.SELLER_DISCOUNT] == Decimal("-1.10")


def test_tax_without_details_is_tax_on_the_item() -> None:
    row = order()
    del row["orderItems"][0]["proceeds"]["breakdowns"][3]["detailedBreakdowns"]
    assert {x.kind: x.amount for x in one(row).lines[0].charges}[FeeKind.ITEM_TAX] == Decimal("3.21")


def test_a_pending_order_has_no_money_yet_and_none_is_made_up() -> None:
    row = order(fulfillment={"fulfillmentStatus": "PENDING", "fulfilledBy": "AMAZON"})
    del row["proceeds"]
    row["orderItems"] = [{k: v for k, v in item().items() if k not in ("proceeds", "fulfillment")}]
    found = one(row)
    assert (found.total, found.total_kinds, found.lines[0].charges) == (None, frozenset(), ())
    assert (found.currency, found.lines[0].status) == ("EUR", LineStatus.PENDING)
    assert (found.lines[0].quantity_shipped, found.lines[0].quantity_canceled) == (None, None)


def test_times_are_turned_to_utc() -> None:
    found = one(order())
    assert found.updated_at == datetime(2026, 10, 2, 8, tzinfo=UTC)


PARCEL = [
    {
        "packageReferenceId": "1",
        "shipTime": "2026-10-03T00:00:00Z",
        "packageItems": [{"orderItemId": "77", "quantity": 3}],
    }
]


@pytest.mark.parametrize(
    ("status", "fulfilled", "open_", "parcel", "expected"),
    [
        ("UNSHIPPED", 0, 3, None, LineStatus.TO_SHIP),
        ("PARTIALLY_SHIPPED", 0, 3, None, LineStatus.TO_SHIP),
        ("PARTIALLY_SHIPPED", 1, 2, None, LineStatus.PART_SHIPPED),
        ("PARTIALLY_SHIPPED", 3, 0, None, LineStatus.SHIPPED),
        ("UNSHIPPED", 0, 0, None, LineStatus.CANCELED),
        ("SHIPPED", 3, 0, "IN_TRANSIT", LineStatus.SHIPPED),
        ("SHIPPED", 3, 0, "DELIVERED", LineStatus.DELIVERED),
        ("CANCELLED", 0, 0, None, LineStatus.CANCELED),
        ("UNFULFILLABLE", 0, 3, None, LineStatus.CANCELED),
        ("TELEPORTED", 3, 0, None, LineStatus.UNKNOWN),
    ],
)
def test_a_lines_status_is_more_exact_than_its_orders(
    status: str, fulfilled: int, open_: int, parcel: str | None, expected: LineStatus
) -> None:
    row = order(fulfillment={"fulfillmentStatus": status, "fulfilledBy": "MERCHANT"})
    row["orderItems"] = [item(fulfillment={"quantityFulfilled": fulfilled, "quantityUnfulfilled": open_})]
    if parcel:
        row["packages"] = [{**PARCEL[0], "packageStatus": {"status": parcel}}]
    line = one(row).lines[0]
    assert line.status is expected
    assert line.raw_status == status
    assert line.shipped_at == (datetime(2026, 10, 3, tzinfo=UTC) if parcel else None)


def test_pieces_neither_sent_nor_open_are_canceled() -> None:
    row = order()
    row["orderItems"] = [item(fulfillment={"quantityFulfilled": 1, "quantityUnfulfilled": 0})]
    assert one(row).lines[0].quantity_canceled == 2


def _without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        for step in path[:-1]:
            row = row[int(step)] if isinstance(row, list) else row[step]
        del row[path[-1]]

    return change


def _set(value: Any, *path: str) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        for step in path[:-1]:
            row = row[int(step)] if isinstance(row, list) else row[step]
        row[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (_without("orderId"), "orderId"),
        (_without("createdTime"), "createdTime"),
        (_set("2026-10-01T10:00:00", "createdTime"), "createdTime"),
        (_set("yesterday", "lastUpdatedTime"), "lastUpdatedTime"),
        (_set([], "orderItems"), "orderItems"),
        (_set("NOWHERE", "salesChannel", "marketplaceId"), "salesChannel.marketplaceId"),
        (_set(-1, "orderItems", "0", "quantityOrdered"), "quantityOrdered"),
        (_set(True, "orderItems", "0", "quantityOrdered"), "quantityOrdered"),
        (_set("1.5.1", "orderItems", "0", "proceeds", "breakdowns", "0", "subtotal", "amount"), "amount"),
        (_set("NaN", "orderItems", "0", "proceeds", "breakdowns", "0", "subtotal", "amount"), "amount"),
        (_set("1E+20", "orderItems", "0", "proceeds", "breakdowns", "0", "subtotal", "amount"), "amount"),
        (_set("GBP", "orderItems", "0", "proceeds", "breakdowns", "0", "subtotal", "currencyCode"), "proceeds"),
    ],
)
def test_an_order_without_something_needed_is_set_aside_with_its_place(
    change: Callable[[dict[str, Any]], None], place: str
) -> None:
    row = order()
    change(row)
    found = read(row)
    assert [type(x) for x in found] == [Rejected]
    assert found[0].path == f"orders[0].{place}"


def test_a_blank_in_an_optional_field_is_nothing() -> None:
    address = {"name": "Ann", "addressLine1": "Weg 1", "addressLine2": " ", "stateOrRegion": "\t", "city": "Ulm"}
    row = order(recipient={"deliveryAddress": address}, orderItems=[item(product={"sellerSku": "A", "title": " "})])
    found = one(row)
    assert found.buyer == BuyerRecord(name="Ann", street="Weg 1", city="Ulm")
    assert found.lines[0].title == ""


def test_half_a_character_spoils_neither_its_order_nor_the_neighbors() -> None:
    cut, sound = order(), order(orderId="303-2")
    cut["orderItems"][0] |= {"quantityOrdered": "many", "product": {"sellerSku": "A", "title": "Vase \ud83d"}}
    body = json.dumps({"orders": [cut, sound]}).encode()
    found = list(translate(RawPage(body=body, content_type="application/json")))
    assert [type(x) for x in found] == [Rejected, OrderRecord]
    cut["orderItems"][0]["quantityOrdered"] = 3
    assert one(cut).lines[0].title == "Vase \ufffd"


def test_an_unknown_kind_of_money_is_kept_as_unknown() -> None:
    row = order()
    row["orderItems"][0]["proceeds"]["breakdowns"][0]["type"] = "MOON_TOLL"
    found = read(row)
    assert FeeKind.UNKNOWN in {x.kind for x in found[0].lines[0].charges}
    assert Drift(path="orders[].orderItems[].proceeds.breakdowns[].type", value="MOON_TOLL") in found


def test_a_new_field_is_noted_and_does_no_harm() -> None:
    found = read(order(surprise={"a": 1}))
    assert [x for x in found if isinstance(x, Drift)] == [Drift(path="orders[].surprise", value="")]
    assert isinstance(found[0], OrderRecord)


def test_goods_sent_out_for_another_shop_are_no_order_of_amazons() -> None:
    found = read(order(salesChannel={"channelName": "NON_AMAZON"}))
    assert [type(x) for x in found] == [Drift]
