"""Every kind of answer holds against the marketplaces' public API descriptions (API_SPECS_DIR names the folder)."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from .conftest import Call

AMAZON = {
    "orders": ("orders_2026-01-01", "/orders/2026-01-01/orders", "get"),
    "order": ("orders_2026-01-01", "/orders/2026-01-01/orders/{orderId}", "get"),
    "reports": ("reports_2021-06-30", "/reports/2021-06-30/reports", "get"),
    "create": ("reports_2021-06-30", "/reports/2021-06-30/reports", "post"),
    "report": ("reports_2021-06-30", "/reports/2021-06-30/reports/{reportId}", "get"),
    "document": ("reports_2021-06-30", "/reports/2021-06-30/documents/{reportDocumentId}", "get"),
    "transactions": ("finances_2024-06-19", "/finances/2024-06-19/transactions", "get"),
    "sites": ("sellers", "/sellers/v1/marketplaceParticipations", "get"),
}
ALL_DATA = "BUYER,RECIPIENT,PROCEEDS,EXPENSE,PROMOTION,CANCELLATION,FULFILLMENT,PACKAGES,TAX"
SETTLEMENTS = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"


@pytest.fixture(scope="module")
def descriptions() -> Path:
    folder = os.environ.get("API_SPECS_DIR")
    if not folder:
        pytest.skip("API_SPECS_DIR does not name the folder with the public API descriptions")
    return Path(folder)


def check_amazon(descriptions: Path, name: str, status: int, data: Any) -> None:
    file, path, verb = AMAZON[name]
    model = json.loads((descriptions / "amazon" / "models" / f"{file}.json").read_text())
    schema = model["paths"][path][verb]["responses"][str(status)]["schema"]
    jsonschema.Draft4Validator({**schema, "definitions": model["definitions"]}).validate(data)


def _null_or_type(validator: Any, types: Any, instance: Any, schema: Any) -> Any:
    """Mirakl's own examples hold null for texts and objects that are absent, though its description does not say so."""
    if instance is None and types in ("string", "object"):
        return ()
    return jsonschema.Draft202012Validator.VALIDATORS["type"](validator, types, instance, schema)


Mirakl = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"type": _null_or_type})


def check_mirakl(descriptions: Path, path: str, data: Any) -> None:
    model = json.loads((descriptions / "mirakl" / "mirakl-mmp-seller-openapi.json").read_text())
    answer = model["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
    schema = {**answer["schema"], "components": model.get("components", {})}
    Mirakl(schema).validate(data)


@pytest.mark.parametrize("token_of", ["eu", "us"])
def test_orders_hold_against_amazons_description(
    descriptions: Path, token_of: str, request: pytest.FixtureRequest
) -> None:
    ask: Call = request.getfixturevalue(token_of)
    reply = ask("/orders/2026-01-01/orders", {"createdAfter": "2026-09-20T00:00:00Z", "includedData": ALL_DATA})
    assert len(reply.data["orders"]) > 40
    check_amazon(descriptions, "orders", reply.status, reply.data)
    one = ask(f"/orders/2026-01-01/orders/{reply.data['orders'][0]['orderId']}", {"includedData": ALL_DATA})
    check_amazon(descriptions, "order", one.status, one.data)


def test_reports_hold_against_amazons_description(descriptions: Path, eu: Call) -> None:
    reports = eu("/reports/2021-06-30/reports", {"reportTypes": SETTLEMENTS, "pageSize": 100})
    check_amazon(descriptions, "reports", reports.status, reports.data)
    document = eu(f"/reports/2021-06-30/documents/{reports.data['reports'][0]['reportDocumentId']}")
    check_amazon(descriptions, "document", document.status, document.data)
    order = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": ["A13V1IB3VIYZZH"]}
    created = eu("/reports/2021-06-30/reports", method="POST", body=order)
    assert created.status == 202
    check_amazon(descriptions, "create", 202, created.data)
    seen = set()
    for _ in range(200):
        state = eu(f"/reports/2021-06-30/reports/{created.data['reportId']}")
        check_amazon(descriptions, "report", state.status, state.data)
        seen.add(state.data["processingStatus"])
        if "DONE" in seen:
            break
        time.sleep(0.1)
    assert {"DONE"} <= seen <= {"IN_QUEUE", "IN_PROGRESS", "DONE"}, "a busy machine may miss the shorter ones"


def test_transactions_and_sites_hold_against_amazons_description(descriptions: Path, eu: Call, us: Call) -> None:
    for ask in (eu, us):
        reply = ask("/finances/2024-06-19/transactions", {"postedAfter": "2026-10-01T00:00:00Z"})
        statuses = {row["transactionStatus"] for row in reply.data["payload"]["transactions"]}
        assert "DEFERRED_RELEASED" in statuses
        check_amazon(descriptions, "transactions", reply.status, reply.data)
        sites = ask("/sellers/v1/marketplaceParticipations")
        check_amazon(descriptions, "sites", sites.status, sites.data)


def test_amazons_errors_hold_against_its_description(descriptions: Path, eu: Call) -> None:
    for name, path, query in (
        ("orders", "/orders/2026-01-01/orders", {}),
        (
            "reports",
            "/reports/2021-06-30/reports",
            {"reportTypes": SETTLEMENTS, "createdSince": "2026-01-01T00:00:00Z"},
        ),
        ("transactions", "/finances/2024-06-19/transactions", {}),
        ("order", "/orders/2026-01-01/orders/000-0000000-0000000", {}),
    ):
        reply = eu(path, query)
        assert reply.status in (400, 404)
        check_amazon(descriptions, name, reply.status, reply.data)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/orders", {"max": 100}),
        ("/api/offers", {"max": 100}),
        ("/api/sellerpayment/transactions_logs", {"limit": 2000}),
        ("/api/seller-billing-cycles", {"limit": 100}),
        ("/api/invoices", {"max": 100}),
        ("/api/account", {}),
    ],
)
def test_bunnings_answers_hold_against_mirakls_description(
    descriptions: Path, bunnings: Call, path: str, query: dict[str, int]
) -> None:
    reply = bunnings(path, query)
    assert reply.status == 200
    check_mirakl(descriptions, path, reply.data)
