"""Otto as the sandbox plays it: sign-in by scopes, a cursor that skips nothing, pieces, shipments, statement files."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from marketplaces.sandbox.server import Sandbox

from .conftest import NOW, Call, call, otto_of, otto_token

LONG_AGO = "2026-09-01T00:00:00Z"
FROM = {"city": "Bremen", "zipCode": "28217", "countryCode": "DEU"}


def cursor(data: dict[str, Any]) -> str:
    """The cursor of the link to the next page."""
    links = [link["href"] for link in data["links"] if link["rel"] == "next"]
    return parse_qs(urlsplit(links[0]).query)["nextcursor"][0] if links else ""


def all_orders(ask: Call, query: dict[str, Any], size: int = 20) -> list[dict[str, Any]]:
    """Every order of a question, page by page."""
    found, data = [], ask("/v4/orders", {**query, "limit": size}).data
    while True:
        found += data["resources"]
        if not (after := cursor(data)):
            return found
        data = ask("/v4/orders", {"nextcursor": after, "limit": size}).data


def test_a_token_needs_the_apps_secret_and_known_scopes(small_sandbox: Sandbox) -> None:
    good = otto_token(small_sandbox)
    assert (good.status, good.data["expires_in"], good.data["token_type"]) == (200, 1800, "Bearer")
    assert "refresh_token" not in good.data
    assert otto_token(small_sandbox, client_secret="x").status == 401
    assert otto_token(small_sandbox, scope="").status == otto_token(small_sandbox, scope="orders gold").status == 400
    assert otto_token(small_sandbox, grant_type="password").status == 400


def test_a_token_opens_only_what_its_scopes_name(small_sandbox: Sandbox) -> None:
    ask = otto_of(small_sandbox, scope="orders")
    assert ask("/v4/orders").status == 200
    refused = ask("/v5/products")
    assert (refused.status, refused.data["errors"][0]["title"]) == (403, "FORBIDDEN")
    assert call(f"{small_sandbox.url}/otto/v4/orders").status == 401


def test_a_token_dies_after_half_an_hour(sandbox: Sandbox) -> None:
    ask = otto_of(sandbox)
    assert ask("/v4/orders").status == 200
    later = sandbox.state.timer() + 1801
    sandbox.state.timer = lambda: later
    assert ask("/v4/orders").status == 401


def test_orders_come_by_last_change_and_each_once(otto: Call) -> None:
    found = all_orders(otto, {"fromDate": LONG_AGO})
    changes = [order["orderLifecycleInformation"]["lifecycleChangeDate"] for order in found]
    assert changes == sorted(changes)
    assert len({order["salesOrderId"] for order in found}) == len(found) > 40
    later = all_orders(otto, {"fromDate": changes[20]})
    assert {order["salesOrderId"] for order in later} == {
        order["salesOrderId"] for order in found if changes[20] <= order["lastModifiedDate"]
    }


def test_no_order_is_skipped_while_the_clock_moves_between_pages(busy: Sandbox) -> None:
    ask = otto_of(busy)
    before = {order["salesOrderId"] for order in all_orders(ask, {"fromDate": LONG_AGO})}
    data = ask("/v4/orders", {"fromDate": LONG_AGO, "limit": 5}).data
    seen = {order["salesOrderId"] for order in data["resources"]}
    moment = NOW
    while after := cursor(data):
        moment += timedelta(hours=7)
        busy.set_clock(moment)
        data = ask("/v4/orders", {"nextcursor": after, "limit": 5}).data
        seen |= {order["salesOrderId"] for order in data["resources"]}
    assert before < seen, "and those that came meanwhile"


def test_every_position_is_one_piece_and_moves_through_ottos_states(otto: Call) -> None:
    items = [item for order in all_orders(otto, {"fromDate": LONG_AGO}) for item in order["positionItems"]]
    assert len({item["positionItemId"] for item in items}) == len(items)
    by_state = Counter(item["fulfillmentStatus"] for item in items)
    assert {"PROCESSABLE", "SENT", "RETURNED"} <= set(by_state)
    for item in items:
        gone = item["fulfillmentStatus"].startswith("CANCELLED")
        assert ("expectedDeliveryDate" in item) is not gone
        assert ("sentDate" in item) is (item["fulfillmentStatus"] in ("SENT", "RETURNED"))
        assert ("returnedDate" in item) is (item["fulfillmentStatus"] == "RETURNED")


def test_no_address_is_told_before_the_payment_is_sure(sandbox: Sandbox) -> None:
    order = next(x for x in sandbox.state.world.orders["otto-de"] if x.created_at > NOW)
    ask = otto_of(sandbox)
    sandbox.set_clock(order.created_at)
    early = ask(f"/v4/orders/{order.ref}").data
    assert {item["fulfillmentStatus"] for item in early["positionItems"]} == {"ANNOUNCED"}
    assert "deliveryAddress" not in early
    sandbox.set_clock(order.created_at + timedelta(hours=1, minutes=30))
    assert "deliveryAddress" in ask(f"/v4/orders/{order.ref}").data
    assert ask(f"/v4/orders/{early['orderNumber']}").data["salesOrderId"] == order.ref
    assert ask("/v4/orders/nothing").status == 404


def test_a_bucket_hides_orders_with_a_less_advanced_piece_and_at_least_one_does_not(otto: Call) -> None:
    query = {"fromDate": LONG_AGO, "fulfillmentStatus": "SENT"}
    bucket, wide = all_orders(otto, query), all_orders(otto, {**query, "mode": "AT_LEAST_ONE"})
    assert {x["salesOrderId"] for x in bucket} <= {x["salesOrderId"] for x in wide}
    assert all(any(i["fulfillmentStatus"] == "SENT" for i in order["positionItems"]) for order in wide)
    assert otto("/v4/orders", {"fulfillmentStatus": "TELEPORTED"}).status == 400
    assert otto("/v4/orders", {"nextcursor": "nonsense"}).status == 400


def waiting(ask: Call) -> dict[str, Any]:
    """An order that waits for dispatch as a whole."""
    orders = all_orders(ask, {"fulfillmentStatus": "PROCESSABLE"})
    return next(
        order for order in orders if {item["fulfillmentStatus"] for item in order["positionItems"]} == {"PROCESSABLE"}
    )


def shipment(order: dict[str, Any], number: str = "00340434", **changed: Any) -> dict[str, Any]:
    """A parcel with every piece of an order."""
    label = {"carrier": "DHL", "trackingNumber": f"R{number}"}
    items = [
        {"positionItemId": item["positionItemId"], "salesOrderId": order["salesOrderId"], "returnTrackingKey": label}
        for item in order["positionItems"]
    ]
    tracking = {"carrier": "DHL", "trackingNumber": number}
    body = {
        "trackingKey": tracking,
        "shipDate": "2026-11-21T08:00:00Z",
        "shipFromAddress": FROM,
        "positionItems": items,
    }
    return body | changed


def test_a_shipment_marks_its_pieces_as_sent_and_can_be_read_back(busy: Sandbox) -> None:
    ask = otto_of(busy)
    order = waiting(ask)
    made = ask("/v1/shipments", method="POST", body=shipment(order))
    assert made.status == 201
    after = ask(f"/v4/orders/{order['salesOrderId']}").data
    assert {item["fulfillmentStatus"] for item in after["positionItems"]} == {"SENT"}
    assert after["positionItems"][0]["trackingInfo"] == {"carrier": "DHL", "trackingNumber": "00340434"}
    for path in (f"/v1/shipments/{made.data['shipmentId']}", "/v1/shipments/carriers/DHL/trackingnumbers/00340434"):
        assert ask(path).data["positionItems"] == shipment(order)["positionItems"]
    listed = ask("/v1/shipments", {"datefrom": "2026-11-20"}).data["resources"]
    assert [parcel["shipmentId"] for parcel in listed] == [made.data["shipmentId"]]
    assert ask("/v1/shipments/carriers/DHL/trackingnumbers/1").status == 404
    told = [row for row in call(f"{busy.url}/__sandbox/shipments").data if row["order"] == order["salesOrderId"]]
    assert {row["account"] for row in told} == {"otto-de"}
    assert {row["line"] for row in told} == {item["positionItemId"] for item in order["positionItems"]}
    assert {(row["ordered"], row["confirmed"], row["confirmations"]) for row in told} == {(1, 1, 1)}


def test_a_shipment_is_turned_down_in_ottos_words(busy: Sandbox) -> None:
    ask = otto_of(busy)
    order = waiting(ask)

    def told(body: dict[str, Any]) -> tuple[int, str]:
        reply = ask("/v1/shipments", method="POST", body=body)
        return reply.status, reply.data["errors"][0]["title"]

    good = shipment(order)
    without_label = [{k: v for k, v in item.items() if k != "returnTrackingKey"} for item in good["positionItems"]]
    stranger = [good["positionItems"][0] | {"salesOrderId": "2e57d63f-11f4-4baf-9b56-cee829389a0e"}]
    assert told(good | {"positionItems": without_label}) == (400, "PROPERTY_IS_MANDATORY")
    assert told({k: v for k, v in good.items() if k != "shipFromAddress"}) == (400, "PROPERTY_IS_MANDATORY")
    assert told(good | {"trackingKey": {"carrier": "PIGEON", "trackingNumber": "1"}}) == (400, "INVALID_VALUE")
    assert told(good | {"positionItems": stranger}) == (400, "INSUFFICIENT_PERMISSION")
    assert ask("/v1/shipments", method="POST", body=good).status == 201
    assert told(good) == (409, "DUPLICATE_TRACKING_KEY")
    assert told(shipment(order, "other")) == (409, "POSITION_ITEM_NOT_PROCESSABLE")


def test_offers_come_in_pages_with_status_and_stock_of_their_own(otto: Call) -> None:
    first = otto("/v5/products", {"limit": 100}).data
    assert len(first["productVariations"]) == 100
    assert first["links"][0]["rel"] == "next"
    second = otto("/v5/products", {"limit": 100, "page": 1}).data["productVariations"]
    skus = [row["sku"] for row in first["productVariations"] + second]
    assert len(set(skus)) == len(skus) > 100
    statuses = otto("/v5/products/marketplace-status").data["marketPlaceStatus"]
    assert {row["sku"] for row in statuses} == set(skus)
    assert {row["status"] for row in statuses} == {"ONLINE", "RESTRICTED"}
    stock = otto("/v2/quantities", {"limit": 50}).data
    after = otto("/v2/quantities", {"limit": 50, "cursor": stock["resources"]["variations"][-1]["sku"]}).data
    assert after["resources"]["variations"][0]["sku"] > stock["resources"]["variations"][-1]["sku"]


def test_statements_come_as_files_once_they_are_issued(sandbox: Sandbox) -> None:
    place = f"{sandbox.url}/__sandbox/statements/otto-de"
    early = call(place).data
    sandbox.set_clock(NOW + timedelta(days=14))
    late = call(place).data
    assert set(early) < set(late)
    assert call(f"{place}/{late[-1]}").status == 200
    sandbox.set_clock(NOW)
    assert call(f"{place}/{late[-1]}").status == 404
    assert call(f"{sandbox.url}/__sandbox/statements/amazon-eu").status == 404
    withheld = [s.ref for s in sandbox.state.world.statements["otto-de"] if s.is_withheld]
    assert len(withheld) == 1 and f"{withheld[0]}.csv" not in late


def test_a_statement_file_adds_up_and_counts_itself(small_sandbox: Sandbox) -> None:
    place = f"{small_sandbox.url}/__sandbox/statements/otto-de"
    statements = {s.ref: s for s in small_sandbox.state.world.statements["otto-de"]}
    for name in call(place).data:
        rows = list(csv.DictReader(io.StringIO(call(f"{place}/{name}").body.decode()), delimiter=";"))
        header, *lines, footer = rows
        assert [header["record"], footer["record"]] == ["header", "footer"]
        amounts = [{key: Decimal(row[key].replace(",", ".")) for key in ("net", "vat", "gross")} for row in lines]
        assert all(row["net"] + row["vat"] == row["gross"] for row in amounts)
        total = sum(row["gross"] for row in amounts)
        assert int(footer["rows"]) == len(lines)
        assert Decimal(footer["gross"].replace(",", ".")) == total
        assert total * 100 == statements[header["statement"]].rows_total
        assert Decimal(header["gross"].replace(",", ".")) * 100 == statements[header["statement"]].total
