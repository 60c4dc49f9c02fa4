"""Reads orders, a requested report and a settlement file from `argv[1]` with Amazon's own SDK; prints JSON."""

from __future__ import annotations

import gzip
import json
import sys
import time
from datetime import datetime
from urllib.request import urlopen

from spapi import ReportsApi, SearchOrdersApi, SPAPIClient, SPAPIConfig
from spapi.models.reports_v2021_06_30 import CreateReportSpecification

GERMANY = "A1PA6795UKMFR9"


def client(base: str) -> SPAPIClient:
    """Signed in as the European seller."""
    config = SPAPIConfig("sandbox-client", "sandbox-secret", "Atzr|sandbox-eu", region="EU")
    return SPAPIClient(config, oauth_endpoint=f"{base}/amazon/auth/o2/token", endpoint=f"{base}/amazon/eu")


def orders(api: SearchOrdersApi, since: datetime) -> list[list[str]]:
    """Every order as (id, status), page after page."""
    found, token = [], None
    while True:
        page = api.search_orders(
            marketplace_ids=[GERMANY],
            created_after=since,
            max_results_per_page=20,
            included_data=["FULFILLMENT"],
            **({"pagination_token": token} if token else {}),
        )
        found += [[order.order_id, order.fulfillment.fulfillment_status] for order in page.orders]
        token = page.pagination and page.pagination.next_token
        if not token:
            return found


def document(api: ReportsApi, document_id: str) -> str:
    """The text of a report document."""
    where = api.get_report_document(document_id)
    with urlopen(where.url) as answer:
        body, charset = answer.read(), answer.headers.get_content_charset()
    return (gzip.decompress(body) if where.compression_algorithm == "GZIP" else body).decode(charset)


def listings(api: ReportsApi) -> str:
    """Request the listings report, wait for it, download it."""
    wanted = CreateReportSpecification(report_type="GET_MERCHANT_LISTINGS_ALL_DATA", marketplace_ids=[GERMANY])
    report_id = api.create_report(wanted).report_id
    for _ in range(100):
        report = api.get_report(report_id)
        if report.processing_status == "DONE":
            return document(api, report.report_document_id)
        time.sleep(0.1)
    raise SystemExit(f"report {report_id} is {report.processing_status}")


def main() -> None:
    """Everything once."""
    base, since = sys.argv[1:3]
    api_client = client(base).api_client
    reports = ReportsApi(api_client)
    settlement = reports.get_reports(report_types=["GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"]).reports[0]
    found = {
        "orders": orders(SearchOrdersApi(api_client), datetime.fromisoformat(since)),
        "listings": listings(reports),
        "settlement": document(reports, settlement.report_document_id),
    }
    sys.stdout.write(json.dumps(found))


main()
