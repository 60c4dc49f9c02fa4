"""Amazon's reports: ask for one or find those made by themselves, look how far they are, fetch the document."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from marketplaces.connectors.amazon.client import AmazonSession
from marketplaces.errors import Malformed
from marketplaces.http import gunzip
from marketplaces.port import RawPage, ReportFound, ReportState, Window
from marketplaces.protocols import reading
from marketplaces.protocols.reading import body_of, iso, rows, text

_PATH = "/reports/2021-06-30"
STATES = {
    "IN_QUEUE": "processing",
    "IN_PROGRESS": "processing",
    "DONE": "done",
    "CANCELLED": "empty",
    "FATAL": "failed",
}
_MESSAGES = {
    "CANCELLED": "Amazon made no document: there was nothing to report, or the same report was just asked for.",
    "FATAL": "Amazon could not make the report.",
}
_KEPT = timedelta(days=89)


def discover(session: AmazonSession, report_type: str, window: Window, token: str) -> tuple[list[ReportFound], str]:
    """Reports of one type made in the window, and the token of the following page.

    The token travels alone: Amazon refuses it beside any other parameter. Reports are listed for 90 days only.
    """
    if token:
        params = {"nextToken": token}
    else:
        since = max(window.since, session.door.clock() - _KEPT)
        params = {
            "reportTypes": report_type,
            "pageSize": "100",
            "createdSince": iso(since),
            "createdUntil": iso(window.until),
        }
    body = body_of(session.call("GET", f"{_PATH}/reports", operation="reports.list", params=params))
    if "reports" not in body:
        raise Malformed("The answer holds no list of reports.", path="reports")
    found = [_found(row) for row in rows(body.get("reports"), "reports") if row.get("reportType") == report_type]
    return found, reading.next_token(token, reading.maybe_text(body, "nextToken") or "")


def _found(row: dict[str, Any] | reading.Row) -> ReportFound:
    return ReportFound(
        report_ref=text(row, "reportId"),
        document_ref=reading.maybe_text(row, "reportDocumentId") or "",
        since=_time(row, "dataStartTime"),
        until=_time(row, "dataEndTime"),
        status=STATES.get(str(row.get("processingStatus")), "processing"),
        made_at=_time(row, "createdTime"),
    )


def _time(row: reading.Row, name: str) -> datetime | None:
    """A time we can do without: one that cannot be read must not hide the report, nor the others of the list."""
    try:
        return reading.maybe_instant(row, name)
    except (Malformed, OverflowError):
        return None


def create(session: AmazonSession, report_type: str, marketplace_id: str) -> str:
    """Ask for a report of one site; returns its id."""
    wanted = {"reportType": report_type, "marketplaceIds": [marketplace_id]}
    return text(body_of(session.call("POST", f"{_PATH}/reports", operation="reports.create", json=wanted)), "reportId")


def poll(session: AmazonSession, report_ref: str) -> ReportState:
    """How far the report is."""
    body = body_of(session.call("GET", f"{_PATH}/reports/{report_ref}", operation="reports.get"))
    status = text(body, "processingStatus")
    return ReportState(
        status=STATES.get(status, "processing"),
        document_ref=reading.maybe_text(body, "reportDocumentId") or "",
        message=_MESSAGES.get(status, ""),
    )


def download(session: AmazonSession, document_ref: str) -> RawPage:
    """The document's bytes, unpacked, in the charset they came in. The address lives for five minutes only."""
    body = body_of(session.call("GET", f"{_PATH}/documents/{document_ref}", operation="reports.document"))
    answer = session.fetch_document(text(body, "url"))
    packed = reading.maybe_text(body, "compressionAlgorithm")
    if packed not in (None, "GZIP"):
        raise Malformed("The document is packed in a way we cannot unpack.", operation="reports.download")
    return RawPage(
        body=gunzip(answer.body) if packed else answer.body,
        content_type=answer.headers.get("content-type", "text/plain"),
        context={"seen_at": _seen_at(session.door.clock())},
        name=document_ref,
    )


def _seen_at(moment: datetime) -> str:
    return iso(moment)
