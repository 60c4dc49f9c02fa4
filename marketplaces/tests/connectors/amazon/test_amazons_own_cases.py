"""The connector against the answers Amazon itself publishes, read by its real client and translators."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from marketplaces.connectors.amazon import amazon, offers, orders, reports, settlements, transactions
from marketplaces.connectors.amazon.client import AmazonSession, check
from marketplaces.errors import BorderError, Forbidden, Malformed, Refused, Throttled, Unauthorized, Unavailable
from marketplaces.port import RawPage, ReportState, Window
from marketplaces.records import OrderRecord, Rejected, TransactionRecord
from marketplaces.tests.connectors.amazon.cases import Case, all_cases, folder
from marketplaces.tests.connectors.doors import NOW, door

VALID = [case for case in all_cases() if case.schema is not None and case.is_valid()]
KINDS = {401: Unauthorized, 403: Forbidden, 429: Throttled}
WINDOW = Window(since=NOW.replace(month=10), until=NOW)

pytestmark = pytest.mark.skipif(folder() is None, reason="API_SPECS_DIR names no folder of API descriptions")


@pytest.fixture
def session(httpserver: HTTPServer) -> AmazonSession:
    token = {"access_token": "Atza|test", "token_type": "bearer", "expires_in": 3600}
    httpserver.expect_request("/amazon/auth/o2/token", method="POST").respond_with_json(token)
    return amazon.open(door(amazon, httpserver.url_for(""), limits={}))


def serve(httpserver: HTTPServer, case: Case, *, anything: bool = False) -> None:
    """Answer the case's request with Amazon's bytes; `anything` asks for verb and path only."""
    wanted: dict[str, Any] = {} if anything else {"query_string": case.query}
    if case.body is not None and not anything:
        wanted["json"] = case.body
    request = httpserver.expect_request(f"/amazon/eu{case.address}", method=case.verb.upper(), **wanted)
    request.respond_with_data(json.dumps(case.answer), status=case.status, content_type="application/json")


def test_there_are_as_many_cases_as_counted_by_hand() -> None:
    assert len(all_cases()) == 234
    assert len(VALID) == 218


@pytest.mark.parametrize("case", VALID, ids=str)
def test_amazons_answer_is_read_or_sorted_by_its_kind(
    case: Case, httpserver: HTTPServer, session: AmazonSession
) -> None:
    serve(httpserver, case)

    def ask() -> Any:
        return session.call(case.verb.upper(), case.address, operation="case", params=case.query, json=case.body)

    if case.status < 300:
        assert ask().json() == json.loads(json.dumps(case.answer), parse_float=Decimal)
        return
    kind = KINDS.get(case.status, Refused if case.status < 500 else Unavailable)
    with pytest.raises(BorderError) as caught:
        ask()
    assert type(caught.value) is kind
    assert caught.value.status == case.status
    assert "Atza" not in f"{caught.value!r} {caught.value.excerpt}"


def _of(file: str, path: str, verb: str = "get") -> list[Case]:
    return [x for x in VALID if (x.file, x.path, x.verb) == (file, path, verb)]


def _orders(session: AmazonSession, case: Case) -> list[Any]:
    return list(orders.translate(orders.fetch(session, WINDOW, "")))


def _transactions(session: AmazonSession, case: Case) -> list[Any]:
    return list(transactions.translate(transactions.fetch(session, WINDOW, "")))


def _listed(session: AmazonSession, case: Case) -> list[Any]:
    types = {row["reportType"] for row in (case.answer or {}).get("reports", [])} or {"any"}
    return [x for name in types for x in reports.discover(session, name, WINDOW, "")[0]]


def _created(session: AmazonSession, case: Case) -> list[Any]:
    return [offers.request(session, WINDOW)]


def _polled(session: AmazonSession, case: Case) -> list[Any]:
    return [reports.poll(session, case.address.rsplit("/", 1)[1])]


def _checked(session: AmazonSession, case: Case) -> list[Any]:
    return [check(session)]


CALLS: list[tuple[str, str, str, Callable[[AmazonSession, Case], list[Any]]]] = [
    ("orders_2026-01-01.json", "/orders/2026-01-01/orders", "get", _orders),
    ("finances_2024-06-19.json", "/finances/2024-06-19/transactions", "get", _transactions),
    ("reports_2021-06-30.json", "/reports/2021-06-30/reports", "get", _listed),
    ("reports_2021-06-30.json", "/reports/2021-06-30/reports", "post", _created),
    ("reports_2021-06-30.json", "/reports/2021-06-30/reports/{reportId}", "get", _polled),
    ("sellers.json", "/sellers/v1/marketplaceParticipations", "get", _checked),
]


@pytest.mark.parametrize(
    ("case", "call"),
    [pytest.param(case, call, id=str(case)) for file, path, verb, call in CALLS for case in _of(file, path, verb)],
)
def test_the_connectors_own_functions_take_amazons_answers(
    case: Case, call: Callable[[AmazonSession, Case], list[Any]], httpserver: HTTPServer, session: AmazonSession
) -> None:
    serve(httpserver, case, anything=True)
    if case.status >= 300 and call is not _checked:
        with pytest.raises(BorderError):
            call(session, case)
        return
    found = call(session, case)
    assert found
    assert not [x for x in found if isinstance(x, Rejected)]


def test_an_order_of_amazons_has_the_money_it_states(httpserver: HTTPServer, session: AmazonSession) -> None:
    case = next(x for x in _of("orders_2026-01-01.json", "/orders/2026-01-01/orders") if x.status == 200)
    serve(httpserver, case, anything=True)
    found = [x for x in _orders(session, case) if isinstance(x, OrderRecord)]
    assert [x.external_id for x in found] == [x["orderId"] for x in case.answer["orders"]]
    for record, row in zip(found, case.answer["orders"], strict=True):
        assert (record.site, record.currency) == ("amazon.co.jp", "JPY")
        for line, item in zip(record.lines, row["orderItems"], strict=True):
            stated = Decimal(item["proceeds"]["proceedsTotal"]["amount"])
            assert sum(charge.amount for charge in line.charges) == stated


def test_a_transaction_of_amazons_keeps_amount_and_order(httpserver: HTTPServer, session: AmazonSession) -> None:
    case = next(x for x in _of("finances_2024-06-19.json", "/finances/2024-06-19/transactions") if x.status == 200)
    serve(httpserver, case, anything=True)
    found = [x for x in _transactions(session, case) if isinstance(x, TransactionRecord)]
    assert (found[0].amount, found[0].currency, found[0].order_ref) == (Decimal(10), "USD", "8129762527551")


def test_the_address_of_a_document_is_taken_from_amazons_answer(httpserver: HTTPServer, session: AmazonSession) -> None:
    path = "/reports/2021-06-30/documents/{reportDocumentId}"
    case = next(x for x in _of("reports_2021-06-30.json", path) if x.status == 200)
    answer = {**case.answer, "url": httpserver.url_for("/amazon/documents/1")}
    answer.pop("compressionAlgorithm", None)
    serve(httpserver, replace(case, answer=answer), anything=True)
    httpserver.expect_request("/amazon/documents/1").respond_with_data(
        b"bytes", content_type="text/plain;charset=Cp1252"
    )
    page = reports.download(session, case.address.rsplit("/", 1)[1])
    assert isinstance(page, RawPage)
    assert (page.body, page.content_type) == (b"bytes", "text/plain;charset=Cp1252")
    assert "x-amz-access-token" not in dict(httpserver.log[-1][0].headers)


def test_a_report_state_nobody_knows_counts_as_not_finished(httpserver: HTTPServer, session: AmazonSession) -> None:
    httpserver.expect_request("/amazon/eu/reports/2021-06-30/reports/1").respond_with_json({"processingStatus": "NEW"})
    assert reports.poll(session, "1") == ReportState(status="processing")


def test_settlements_are_found_by_their_type_only(httpserver: HTTPServer, session: AmazonSession) -> None:
    httpserver.expect_request("/amazon/eu/reports/2021-06-30/reports").respond_with_json({"reports": []})
    assert settlements.discover(session, WINDOW, "") == ([], "")
    settlements.discover(session, WINDOW, "next")
    first, second = [request for request, _ in httpserver.log if "reports" in request.path]
    assert first.args["reportTypes"] == settlements.REPORT_TYPE
    assert dict(second.args) == {"nextToken": "next"}


@pytest.mark.parametrize("body", [{}, {"nextToken": "x"}, {"errors": []}])
def test_an_answer_without_a_list_of_reports_is_not_taken_for_an_empty_one(
    httpserver: HTTPServer, session: AmazonSession, body: dict[str, Any]
) -> None:
    httpserver.expect_request("/amazon/eu/reports/2021-06-30/reports").respond_with_json(body)
    with pytest.raises(Malformed):
        settlements.discover(session, WINDOW, "")


def test_a_time_that_cannot_be_read_hides_no_report(httpserver: HTTPServer, session: AmazonSession) -> None:
    kind = {"reportType": settlements.REPORT_TYPE, "processingStatus": "DONE"}
    listed = [
        kind
        | {"reportId": "1", "dataStartTime": "yesterday", "createdTime": 7, "dataEndTime": "0001-01-01T00:00+14:00"},
        kind | {"reportId": "2", "dataStartTime": "2026-10-01T00:00:00Z"},
    ]
    httpserver.expect_request("/amazon/eu/reports/2021-06-30/reports").respond_with_json({"reports": listed})
    found, _ = settlements.discover(session, WINDOW, "")
    assert [(report.report_ref, report.since is None) for report in found] == [("1", True), ("2", False)]
