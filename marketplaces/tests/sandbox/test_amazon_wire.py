"""Amazon's side: sign-in, quotas, paging, reports with short-lived links, settlement files, deferred money."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from marketplaces.sandbox.server import Sandbox
from marketplaces.sandbox.world.faults import _UNHEARD_OF as UNHEARD_OF

from .conftest import NOW, Call, Reply, amazon_of, call, sign_in

ORDERS = "/orders/2026-01-01/orders"
REPORTS = "/reports/2021-06-30/reports"
SETTLEMENTS = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"
LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"


def all_orders(ask: Call, query: dict[str, str]) -> list[dict[str, Any]]:
    found, token = [], None
    while True:
        reply = ask(ORDERS, {**query, **({"paginationToken": token} if token else {})})
        assert reply.status == 200, reply.body
        found += reply.data["orders"]
        token = reply.data.get("pagination", {}).get("nextToken")
        if not token:
            return found


def test_a_wrong_secret_or_refresh_token_is_refused_in_amazons_words(small_sandbox: Sandbox) -> None:
    assert sign_in(small_sandbox, client_secret="guess").data["error"] == "invalid_client"
    assert sign_in(small_sandbox, "Atzr|guess").data["error"] == "invalid_grant"
    assert sign_in(small_sandbox, grant_type="password").data["error"] == "unsupported_grant_type"
    assert sign_in(small_sandbox).data["expires_in"] == 3600


def test_without_a_token_or_in_the_wrong_region_the_door_is_shut(small_sandbox: Sandbox) -> None:
    token = sign_in(small_sandbox, "Atzr|sandbox-us").data["access_token"]
    for headers in ({}, {"x-amz-access-token": "Atza|guess"}, {"x-amz-access-token": token}):
        reply = call(f"{small_sandbox.url}/amazon/eu{ORDERS}", headers=headers)
        assert (reply.status, reply.data["errors"][0]["code"]) == (403, "Unauthorized")
        assert reply.headers["x-amzn-requestid"]


def test_a_token_expires_after_an_hour(sandbox: Sandbox) -> None:
    ask = amazon_of(sandbox)
    assert ask("/sellers/v1/marketplaceParticipations").status == 200
    sandbox.state.timer = lambda: time.time() + 3601
    assert "expired" in ask("/sellers/v1/marketplaceParticipations").data["errors"][0]["details"]


def test_who_asks_too_often_is_told_so_and_may_come_again(sandbox: Sandbox) -> None:
    sandbox.state.buckets.speed = 100
    ask = amazon_of(sandbox)
    query = {"createdAfter": "2026-11-20T00:00:00Z"}
    replies = [ask(ORDERS, query) for _ in range(24)]
    assert replies[0].headers["x-amzn-ratelimit-limit"] == "0.56"
    assert [reply.status for reply in replies][:20] == [200] * 20
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.data["errors"][0]["code"] == "QuotaExceeded"
    sandbox.state.buckets.speed = 100_000
    time.sleep(0.05)
    assert ask(ORDERS, query).status == 200


def test_the_quota_of_one_operation_leaves_the_others_alone(sandbox: Sandbox) -> None:
    sandbox.state.buckets.speed = 0.001
    ask = amazon_of(sandbox)
    while ask("/sellers/v1/marketplaceParticipations").status == 200:
        pass
    assert ask(ORDERS, {"createdAfter": "2026-11-20T00:00:00Z"}).status == 200


def test_pages_lose_no_order_though_some_come_twice(small_sandbox: Sandbox, eu: Call) -> None:
    query = {"lastUpdatedAfter": "2026-09-01T00:00:00Z", "maxResultsPerPage": "7"}
    found = [order["orderId"] for order in all_orders(eu, query)]
    expected = {
        order.ref
        for order in small_sandbox.state.world.orders["amazon-eu"]
        if (updated := order.updated_at(NOW)) and updated <= NOW - timedelta(minutes=2)
    }
    assert set(found) == expected
    assert len(found) > len(expected)


def test_updates_do_not_come_in_order(eu: Call) -> None:
    times = [o["lastUpdatedTime"] for o in all_orders(eu, {"lastUpdatedAfter": "2026-09-01T00:00:00Z"})]
    assert times != sorted(times)


def test_a_page_token_ends_after_a_day(sandbox: Sandbox) -> None:
    ask = amazon_of(sandbox)
    query = {"createdAfter": "2026-09-20T00:00:00Z", "maxResultsPerPage": "5"}
    token = ask(ORDERS, query).data["pagination"]["nextToken"]
    sandbox.set_clock(NOW + timedelta(hours=23))
    assert ask(ORDERS, {**query, "paginationToken": token}).status == 200
    sandbox.set_clock(NOW + timedelta(hours=25))
    assert ask(ORDERS, {**query, "paginationToken": token}).status == 400


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"createdAfter": "2026-11-01T00:00:00Z", "lastUpdatedAfter": "2026-11-01T00:00:00Z"},
        {"createdAfter": "2026-11-01T00:00:00Z", "createdBefore": "2026-11-20T23:59:00Z"},
        {"createdAfter": "2026-11-01T00:00:00Z", "lastUpdatedBefore": "2026-11-10T00:00:00Z"},
        {"createdAfter": "yesterday"},
        {"createdAfter": "2026-11-01T00:00:00Z", "includedData": "EVERYTHING"},
        {"createdAfter": "2026-11-01T00:00:00Z", "maxResultsPerPage": "101"},
        {"paginationToken": "guess"},
    ],
)
def test_a_search_amazon_would_refuse_is_refused(eu: Call, query: dict[str, str]) -> None:
    reply = eu(ORDERS, query)
    assert (reply.status, reply.data["errors"][0]["code"]) == (400, "InvalidInput")


def test_the_answer_names_the_cursor_to_go_on_from(eu: Call) -> None:
    assert eu(ORDERS, {"lastUpdatedAfter": "2026-11-20T00:00:00Z"}).data["lastUpdatedBefore"] == "2026-11-20T23:58:00Z"


def test_only_the_data_asked_for_is_included(eu: Call) -> None:
    bare = eu(ORDERS, {"createdAfter": "2026-11-01T00:00:00Z"}).data["orders"][0]
    assert not {"buyer", "recipient", "proceeds", "packages", "fulfillment"} & set(bare)
    named = eu(ORDERS, {"createdAfter": "2026-11-01T00:00:00Z", "includedData": "BUYER"}).data["orders"][0]
    assert named["buyer"]["buyerName"]


def test_a_pending_order_states_no_money(sandbox: Sandbox) -> None:
    order = sandbox.state.world.orders["amazon-eu"][5]
    sandbox.set_clock(order.created_at + timedelta(minutes=5))
    ask = amazon_of(sandbox)
    view = ask(f"{ORDERS}/{order.ref}", {"includedData": "PROCEEDS,FULFILLMENT"}).data["order"]
    assert view["fulfillment"]["fulfillmentStatus"] == "PENDING"
    assert "proceeds" not in view


def test_an_orders_proceeds_sum_to_what_the_buyer_pays(eu: Call, us: Call) -> None:
    for ask in (eu, us):
        for order in all_orders(ask, {"createdAfter": "2026-09-20T00:00:00Z", "includedData": "PROCEEDS"}):
            if "proceeds" not in order:
                continue
            total = Decimal(order["proceeds"]["grandTotal"]["amount"])
            items = [i["proceeds"] for i in order["orderItems"] if "proceeds" in i]
            assert total == sum(Decimal(i["proceedsTotal"]["amount"]) for i in items)
            assert total == sum(Decimal(b["subtotal"]["amount"]) for i in items for b in i["breakdowns"])


def settlements(ask: Call) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    query: dict[str, str] = {"reportTypes": SETTLEMENTS, "pageSize": "3"}
    while True:
        reply = ask(REPORTS, query)
        assert reply.status == 200, reply.body
        found += reply.data["reports"]
        if "nextToken" not in reply.data:
            return found
        query = {"nextToken": reply.data["nextToken"]}


def document(ask: Call, document_id: str) -> Reply:
    described = ask(f"/reports/2021-06-30/documents/{document_id}").data
    reply = call(described["url"])
    assert reply.status == 200, reply.body
    body = gzip.decompress(reply.body) if described.get("compressionAlgorithm") == "GZIP" else reply.body
    return Reply(reply.status, reply.headers, body)


def table(reply: Reply) -> list[dict[str, str]]:
    charset = reply.headers["content-type"].partition("charset=")[2]
    head, *lines = reply.body.decode(charset).splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def number(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def test_rows_of_a_settlement_file_sum_to_its_header_but_for_planted_mismatches(
    small_sandbox: Sandbox, eu: Call, us: Call
) -> None:
    told = {
        row["refs"]["settlement"]: Decimal(row["amount"])
        for row in small_sandbox.truth()
        if row["fault"] == "header_mismatch"
    }
    differing = 0
    for ask in (eu, us):
        for report in settlements(ask):
            summary, *rows = table(document(ask, report["reportDocumentId"]))
            difference = number(summary["total-amount"]) - sum(number(row["amount"]) for row in rows)
            assert difference == told.get(summary["settlement-id"], 0)
            differing += bool(difference)
    assert differing >= 10


def test_a_corrected_settlement_is_issued_again_with_one_row_changed(eu: Call) -> None:
    by_period: dict[str, list[str]] = {}
    for report in settlements(eu):
        by_period.setdefault(report["dataEndTime"], []).append(report["reportDocumentId"])
    (pair,) = [documents for documents in by_period.values() if len(documents) == 2]
    later, first = (table(document(eu, ref)) for ref in pair)
    assert first[0]["settlement-id"] == later[0]["settlement-id"]
    assert first[0]["total-amount"] != later[0]["total-amount"]
    changed = [(a, b) for a, b in zip(first[1:], later[1:], strict=True) if a != b]
    assert [a["amount-type"] for a, _ in changed] == ["Cost of Advertising"]


def test_one_american_settlement_never_comes(us: Call) -> None:
    ends = sorted(datetime.fromisoformat(r["dataEndTime"]) for r in settlements(us))
    assert all(b - a == timedelta(days=7) for a, b in pairwise(ends))
    assert NOW - ends[-1] > timedelta(days=8)


def test_europe_and_america_write_differently(eu: Call, us: Call) -> None:
    european = document(eu, settlements(eu)[0]["reportDocumentId"])
    american = document(us, settlements(us)[0]["reportDocumentId"])
    assert european.headers["content-type"] == "text/plain; charset=Cp1252"
    assert "," in table(european)[0]["total-amount"]
    assert table(european)[1]["currency"] == ""
    datetime.strptime(table(european)[0]["settlement-end-date"], "%d.%m.%Y %H:%M:%S UTC").replace(tzinfo=UTC)
    assert "." in table(american)[0]["total-amount"]
    assert table(american)[1]["currency"] == "USD"
    assert len(table(american)[0]) == 24


def test_words_nobody_has_heard_of_stand_in_the_files(small_sandbox: Sandbox, eu: Call, us: Call) -> None:
    told = [r for r in small_sandbox.truth() if r["fault"] == "unknown_kind" and r["marketplace"] == "amazon"]
    words = {name.title().replace(" ", "") for name in UNHEARD_OF} | set(UNHEARD_OF)
    files = [table(document(ask, r["reportDocumentId"])) for ask in (eu, us) for r in settlements(ask)]
    rows = [
        row
        for file in files
        for row in file[1:]
        if row["amount-description"].partition(" Phase")[0] in words and not row["amount-description"][0].islower()
    ]
    assert len({(r["settlement-id"], r["order-item-code"], r["amount"]) for r in rows}) == len(told)


def test_a_settlement_cannot_be_asked_for(eu: Call) -> None:
    body = {"reportType": SETTLEMENTS, "marketplaceIds": ["A1PA6795UKMFR9"]}
    reply = eu(REPORTS, method="POST", body=body)
    assert reply.status == 400
    assert reply.data["errors"][0]["message"] == "Request for report type 1118 is not allowed at this time"


def test_settlements_are_kept_for_ninety_days_only(sandbox: Sandbox) -> None:
    ask = amazon_of(sandbox)
    before = len(settlements(ask))
    sandbox.set_clock(NOW + timedelta(days=80))
    assert len(settlements(ask)) < before
    too_old = (NOW - timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ask(REPORTS, {"reportTypes": SETTLEMENTS, "createdSince": too_old}).status == 400


def test_a_next_token_stands_alone(eu: Call) -> None:
    token = eu(REPORTS, {"reportTypes": SETTLEMENTS, "pageSize": "1"}).data["nextToken"]
    assert eu(REPORTS, {"reportTypes": SETTLEMENTS, "nextToken": token}).status == 400


def test_a_link_to_a_document_ends_after_five_minutes(sandbox: Sandbox) -> None:
    ask = amazon_of(sandbox)
    document_id = settlements(ask)[0]["reportDocumentId"]
    url = ask(f"/reports/2021-06-30/documents/{document_id}").data["url"]
    assert call(url).status == 200
    assert call(url.replace("Signature=", "Signature=0")).status == 403
    sandbox.state.timer = lambda: time.time() + 301
    assert b"Request has expired" in call(url).body


def test_listings_are_made_on_request(sandbox: Sandbox) -> None:
    ask = amazon_of(sandbox)
    body, begun = {"reportType": LISTINGS, "marketplaceIds": ["A1PA6795UKMFR9"]}, time.time()
    sandbox.state.timer = lambda: begun
    report_id = ask(REPORTS, method="POST", body=body).data["reportId"]
    assert ask(f"{REPORTS}/{report_id}").data["processingStatus"] == "IN_QUEUE"
    sandbox.state.timer = lambda: begun + 2
    done = ask(f"{REPORTS}/{report_id}").data
    rows = table(document(ask, done["reportDocumentId"]))
    assert len(rows) == len(sandbox.state.world.products)
    assert {row["fulfillment-channel"] for row in rows} == {"DEFAULT", "AMAZON_EU"}
    assert {row["status"] for row in rows} == {"Active", "Inactive"}


def transactions(ask: Call, query: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = None
    while True:
        reply = ask("/finances/2024-06-19/transactions", {**query, **({"nextToken": token} if token else {})})
        assert reply.status == 200, reply.body
        found += reply.data["payload"]["transactions"]
        token = reply.data["payload"].get("nextToken")
        if not token:
            return found


def test_money_is_deferred_until_a_week_after_delivery(sandbox: Sandbox) -> None:
    entry = next(
        e
        for e in sandbox.state.world.entries["amazon-eu"]
        if e.event == "sale" and e.order and len(e.order.lines) == 1 and e.at < NOW - timedelta(days=10)
    )
    assert entry.order
    ask = amazon_of(sandbox)
    query = {"relatedIdentifierName": "ORDER_ID", "relatedIdentifierValue": entry.order.ref}
    sandbox.set_clock(entry.at - timedelta(minutes=10))
    (deferred,) = transactions(ask, query)
    assert deferred["transactionStatus"] == "DEFERRED"
    assert deferred["contexts"][0]["deferralReason"] == "DD7"
    sandbox.set_clock(entry.at + timedelta(days=9))
    sale = next(t for t in transactions(ask, query) if t["transactionType"] == "Shipment")
    assert sale["transactionStatus"] == "DEFERRED_RELEASED"
    assert sale["transactionId"] == deferred["transactionId"]
    names = {r["relatedIdentifierName"] for r in sale["relatedIdentifiers"]}
    assert {"ORDER_ID", "SETTLEMENT_ID"} <= names


def test_transactions_sum_to_the_sales_and_refunds_of_their_settlement(small_sandbox: Sandbox, eu: Call) -> None:
    statement = next(s for s in small_sandbox.state.world.statements["amazon-eu"] if s.start > NOW - timedelta(days=30))
    paid = sum(
        Decimal(str(t["totalAmount"]["currencyAmount"]))
        for t in transactions(eu, {"postedAfter": "2026-09-01T00:00:00Z"})
        if any(r["relatedIdentifierValue"] == statement.ref for r in t["relatedIdentifiers"])
    )
    booked = sum(entry.total for entry in statement.entries if entry.event != "account")
    assert booked and paid == Decimal(booked) / 100


def test_money_asked_for_too_early_is_refused(eu: Call) -> None:
    for query in ({}, {"postedAfter": "2026-11-20T23:59:00Z"}, {"postedAfter": "soon"}):
        assert eu("/finances/2024-06-19/transactions", query).status == 400
