"""Amazon settlements: Amazon makes the files by itself; we find them, fetch them and read them."""

from __future__ import annotations

from collections.abc import Iterator

from marketplaces.connectors.amazon import reports
from marketplaces.connectors.amazon.client import AmazonSession
from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.errors import Malformed
from marketplaces.port import RawPage, ReportFound, Translated, Window
from marketplaces.records import Rejected

REPORT_TYPE = "GET_V2_SETTLEMENT_REPORT_DATA_FLAT_FILE_V2"


def discover(session: AmazonSession, window: Window, token: str) -> tuple[list[ReportFound], str]:
    """Settlement files made in the window. They cannot be requested, and asking by site changes nothing."""
    return reports.discover(session, REPORT_TYPE, window, token)


def translate(page: RawPage) -> Iterator[Translated]:
    """The file's one settlement, or its refusal naming row and field."""
    try:
        yield parse_settlement(page.body, page.name, content_type=page.content_type)
    except Malformed as error:
        yield Rejected(path=error.path or "file", reason=error.message, excerpt=page.body[:2000], external_id=page.name)
