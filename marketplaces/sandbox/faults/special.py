"""Faults only some wires know: a row more or less while paging, tokens that run out, reports that never come."""

from __future__ import annotations

from ..wire.http import Response
from .kinds import Call, Spoil, kind

#: Name → (group, what it is). How each looks is told by the wires themselves.
SPECIALS = {
    "row_inserted": ("pages", "Between two pages a row was inserted, so the page begins with one already seen."),
    "row_removed": ("pages", "Between two pages a row went away, so the page leaves one out."),
    "expired_token": ("access", "The access token is refused before its time."),
    "report_queued": ("reports", "The report is still in the queue."),
    "report_failed": ("reports", "The marketplace could not make the report."),
    "report_canceled": ("reports", "The marketplace made no report."),
    "link_expired": ("reports", "The address of a document has run out."),
}


def _special(name: str, told: str) -> Spoil:
    def spoil(call: Call) -> Response | None:
        make = call.shape.specials.get(name) if call.shape else None
        return make(call.request, call.serve) if make else None

    spoil.__name__, spoil.__doc__ = name, told
    return spoil


for _name, (_group, _told) in SPECIALS.items():
    kind(_group)(_special(_name, _told))
