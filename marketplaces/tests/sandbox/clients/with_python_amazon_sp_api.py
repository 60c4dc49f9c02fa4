"""Reads orders, a requested report and a settlement file from `argv[1]` with python-amazon-sp-api; prints JSON."""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from sp_api.api import Orders, Reports
from sp_api.auth import AccessTokenClient

CREDENTIALS = {
    "lwa_app_id": "sandbox-client",
    "lwa_client_secret": "sandbox-secret",
    "refresh_token": "Atzr|sandbox-eu",
}


def orders(api: Any, since: str) -> list[list[str]]:
    """Every order as (id, status), page after page."""
    found: list[list[str]] = []
    more: dict[str, str] = {}
    while True:
        page = api.search_orders(createdAfter=since, maxResultsPerPage=20, includedData="FULFILLMENT", **more)
        found += [[order["orderId"], order["fulfillment"]["fulfillmentStatus"]] for order in page.payload["orders"]]
        if not page.next_token:
            return found
        more = {"paginationToken": page.next_token}


def document(api: Any, document_id: str) -> str:
    """The text of a report document."""
    return api.get_report_document(document_id, download=True).payload["document"]


def listings(api: Any) -> str:
    """Request the listings report, wait for it, download it."""
    report_id = api.create_report(reportType="GET_MERCHANT_LISTINGS_ALL_DATA").payload["reportId"]
    for _ in range(100):
        report = api.get_report(report_id).payload
        if report["processingStatus"] == "DONE":
            return document(api, report["reportDocumentId"])
        time.sleep(0.1)
    raise SystemExit(f"report {report_id} is {report['processingStatus']}")


def main() -> None:
    """Everything once."""
    base, since = sys.argv[1:3]
    AccessTokenClient.scheme, AccessTokenClient.host = "http://", urlsplit(base).netloc
    AccessTokenClient.path = "/amazon/auth/o2/token"
    germany = SimpleNamespace(endpoint=f"{base}/amazon/eu", marketplace_id="A1PA6795UKMFR9", region="eu-west-1")
    reports = Reports(germany, credentials=CREDENTIALS)
    kind = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"
    settlement = reports.get_reports(reportTypes=[kind]).payload["reports"][0]
    found = {
        "orders": orders(Orders(germany, credentials=CREDENTIALS, version="2026-01-01"), since),
        "listings": listings(reports),
        "settlement": document(reports, settlement["reportDocumentId"]),
    }
    sys.stdout.write(json.dumps(found))


main()
