"""Amazon's reports, version 2021-06-30: settlements come by themselves, listings on request, links are short-lived."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..world.bunnings_money import stable_uuid
from ..world.model import Statement
from ..world.places import SITES, Account
from .amazon_base import bad_request, error
from .http import Request, Response, iso, json_response, parse_iso
from .listings_file import listings_file
from .paging import seal, unseal
from .settlement_file import dialect_of, settlement_file
from .state import AskedReport, State

SETTLEMENT = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"
LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
_NOT_ON_REQUEST = {SETTLEMENT: 1118, SETTLEMENT.removesuffix("_V2"): 1117}
_KEPT = timedelta(days=90)
_LINK_SECONDS = 300
_QUEUED_SECONDS, _DONE_SECONDS = 0.2, 0.7
_STATUSES = {"CANCELLED", "DONE", "FATAL", "IN_PROGRESS", "IN_QUEUE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issued:
    """One settlement report: the statement and which issue of it."""

    statement: Statement
    revision: int
    created_at: datetime

    @property
    def report_id(self) -> str:
        return str(int(self.statement.ref) * 3 + self.revision)

    @property
    def document_id(self) -> str:
        return f"amzn1.spdoc.1.4.{stable_uuid(self.statement.ref, self.revision)}.{self.revision}"


def _issued(state: State, account: Account) -> Iterator[_Issued]:
    clock = state.clock()
    for statement in state.world.statements[account.code]:
        if statement.is_withheld:
            continue
        for revision, at in enumerate((statement.issued_at, statement.corrected_at)):
            if at and clock - _KEPT <= at <= clock:
                yield _Issued(statement=statement, revision=revision, created_at=at)


def _settlement_view(account: Account, issued: _Issued) -> dict[str, Any]:
    return {
        "reportId": issued.report_id,
        "reportType": SETTLEMENT,
        "marketplaceIds": [SITES[site].external_id for site, _ in account.sites],
        "dataStartTime": iso(issued.statement.start),
        "dataEndTime": iso(issued.statement.end),
        "createdTime": iso(issued.created_at),
        "processingStatus": "DONE",
        "processingStartTime": iso(issued.created_at),
        "processingEndTime": iso(issued.created_at + timedelta(minutes=1)),
        "reportDocumentId": issued.document_id,
    }


def _asked_view(state: State, asked: AskedReport) -> dict[str, Any]:
    age = state.timer() - asked.asked_at
    view: dict[str, Any] = {
        "reportId": asked.ref,
        "reportType": asked.kind,
        "marketplaceIds": asked.marketplaces,
        "dataStartTime": iso(asked.created_at),
        "dataEndTime": iso(asked.created_at),
        "createdTime": iso(asked.created_at),
        "processingStatus": "IN_QUEUE",
    }
    if age >= _QUEUED_SECONDS:
        view |= {"processingStatus": "IN_PROGRESS", "processingStartTime": iso(asked.created_at)}
    if age >= _DONE_SECONDS:
        view |= {"processingStatus": "DONE", "processingEndTime": iso(asked.created_at)}
        view["reportDocumentId"] = f"amzn1.spdoc.1.4.listings.{asked.ref}"
    return view


def _asked(state: State, account: Account) -> list[AskedReport]:
    with state.lock:
        return [asked for asked in state.reports.values() if asked.account == account.code]


def finished_reports(state: State) -> list[AskedReport]:
    """Reports somebody asked for that are done by now, of all accounts."""
    with state.lock:
        return [asked for asked in state.reports.values() if state.timer() - asked.asked_at >= _DONE_SECONDS]


def list_reports(state: State, account: Account, request: Request) -> Response:
    """getReports: newest first; nextToken stands alone."""
    token = request.one("nextToken")
    if token and len(request.query) > 1:
        return bad_request("nextToken must be the only parameter.")
    question = unseal(token) if token else _question(state, request)
    if isinstance(question, Response):
        return question
    if question is None or "since" not in question:
        return bad_request("The nextToken is not valid.")
    since, until = datetime.fromisoformat(question["since"]), datetime.fromisoformat(question["until"])
    views = [_settlement_view(account, issued) for issued in _issued(state, account)]
    views += [_asked_view(state, asked) for asked in _asked(state, account)]
    views = [
        view
        for view in views
        if view["reportType"] in question["types"]
        and iso(since) <= view["createdTime"] <= iso(until)
        and (not question["statuses"] or view["processingStatus"] in question["statuses"])
    ]
    views.sort(key=lambda view: (view["createdTime"], view["reportId"]), reverse=True)
    first, size = question["first"], question["size"]
    body: dict[str, Any] = {"reports": views[first : first + size]}
    if first + size < len(views):
        body["nextToken"] = seal({**question, "first": first + size})
    return json_response(body)


def _question(state: State, request: Request) -> dict[str, Any] | Response:
    clock = state.clock()
    try:
        since = parse_iso(request.one("createdSince")) or clock - _KEPT
        until = parse_iso(request.one("createdUntil")) or clock
        size = int(request.one("pageSize") or 10)
    except ValueError:
        return bad_request("A date is not in ISO 8601 format, or pageSize is no number.")
    types, statuses = request.many("reportTypes"), request.many("processingStatuses")
    if not types or len(types) > 10:
        return bad_request("Between one and ten reportTypes must be given.")
    if since < clock - _KEPT:
        return bad_request("createdSince must not be more than 90 days ago.")
    if not 1 <= size <= 100 or not set(statuses) <= _STATUSES:
        return bad_request("pageSize must be between 1 and 100, processingStatuses known ones.")
    return {
        "types": types,
        "statuses": statuses,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "size": size,
        "first": 0,
    }


def create_report(state: State, account: Account, request: Request) -> Response:
    """createReport: listings only; settlements cannot be asked for."""
    try:
        body = json.loads(request.body)
        kind, marketplaces = str(body["reportType"]), [str(x) for x in body["marketplaceIds"]]
    except (ValueError, KeyError, TypeError):
        return bad_request("reportType and marketplaceIds are required.")
    if kind in _NOT_ON_REQUEST:
        number = _NOT_ON_REQUEST[kind]
        return error(400, "InvalidInput", f"Request for report type {number} is not allowed at this time")
    if kind != LISTINGS:
        return bad_request(f"The report type {kind} is not offered.")
    if not marketplaces or not set(marketplaces) <= {SITES[site].external_id for site, _ in account.sites}:
        return error(403, "Unauthorized", "Access to requested resource is denied.", "marketplaceIds")
    with state.lock:
        ref = str(50_000_000_000 + len(state.reports))
        state.reports[ref] = AskedReport(
            ref=ref,
            account=account.code,
            kind=kind,
            marketplaces=marketplaces[:1],
            asked_at=state.timer(),
            created_at=state.clock(),
        )
    return json_response({"reportId": ref}, 202)


def get_report(state: State, account: Account, request: Request, report_id: str) -> Response:
    """getReport: where one report stands."""
    for asked in _asked(state, account):
        if asked.ref == report_id:
            return json_response(_asked_view(state, asked))
    for issued in _issued(state, account):
        if issued.report_id == report_id:
            return json_response(_settlement_view(account, issued))
    return error(404, "NotFound", "The report was not found.", report_id)


def get_document(state: State, account: Account, request: Request, document_id: str) -> Response:
    """getReportDocument: a link good for five minutes."""
    found = _content(state, account, document_id)
    if found is None:
        return error(404, "NotFound", "The report document was not found.", document_id)
    expires = int(state.timer()) + _LINK_SECONDS
    signature = _signature(account.code, document_id, expires)
    url = f"{state.base_url}/amazon/documents/{account.code}/{document_id}?Expires={expires}&Signature={signature}"
    body = {"reportDocumentId": document_id, "url": url}
    if found[2]:
        body["compressionAlgorithm"] = "GZIP"
    return json_response(body)


def download(state: State, accounts: dict[str, Account], request: Request, code: str, document_id: str) -> Response:
    """The bytes behind a link; the link itself is the permission."""
    expires = request.one("Expires") or "0"
    if request.one("Signature") != _signature(code, document_id, int(expires) if expires.isdigit() else 0):
        return _storage_error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match.")
    if int(expires) < state.timer():
        return _storage_error(403, "AccessDenied", "Request has expired")
    found = _content(state, accounts[code], document_id)
    if found is None:
        return _storage_error(404, "NoSuchKey", "The specified key does not exist.")
    content, content_type, is_packed = found
    body = gzip.compress(content, mtime=0) if is_packed else content
    return Response(headers={"Content-Type": content_type}, body=body)


def _content(state: State, account: Account, document_id: str) -> tuple[bytes, str, bool] | None:
    """Bytes, content type and whether they travel compressed; American settlements come plain."""
    for issued in _issued(state, account):
        if issued.document_id == document_id:
            dialect = dialect_of(issued.statement)
            content = settlement_file(issued.statement, issued.revision)
            return content, dialect.content_type, dialect.charset == "cp1252"
    for asked in _asked(state, account):
        if document_id.endswith(f".{asked.ref}") and state.timer() - asked.asked_at >= _DONE_SECONDS:
            site = next(site for site in SITES.values() if site.external_id == asked.marketplaces[0])
            return *listings_file(account, site, state.world.products, asked.created_at), True
    return None


def _signature(code: str, document_id: str, expires: int) -> str:
    return hashlib.sha256(f"{code}:{document_id}:{expires}".encode()).hexdigest()[:28]


def _storage_error(status: int, code: str, message: str) -> Response:
    xml = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status=status, headers={"Content-Type": "application/xml"}, body=xml.encode())
