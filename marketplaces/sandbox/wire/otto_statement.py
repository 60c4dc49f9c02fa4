"""Statement files of Otto, which has no API for them: the layout domventas reads, as a clerk would fill it in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

from ..world.model import Entry, Row, Statement, World
from ..world.otto import order_number
from ..world.places import SITES
from .http import cents_text, iso

COLUMNS = (
    "record", "statement", "period_from", "period_until", "paid_on", "currency", "order", "order_number",
    "position_item", "sku", "event", "kind", "booked_at", "quantity", "net", "vat", "gross", "rows", "text",
)  # fmt: skip
_VAT = "_VAT"
_ZONE = ZoneInfo(SITES["otto.de"].zone)


@dataclass(frozen=True, slots=True)
class Booking:
    """One line of a statement [cents]."""

    entry: Entry
    event: str
    kind: str
    net: int
    vat: int


def issued(world: World, account: str, moment_iso: str) -> list[Statement]:
    """Statements somebody could hold in his hands at that moment (ISO, UTC)."""
    return [s for s in world.statements[account] if not s.is_withheld and iso(s.issued_at) <= moment_iso]


def file_name(statement: Statement) -> str:
    """What the file is called."""
    return f"{statement.ref}.csv"


def bookings(statement: Statement) -> Iterator[Booking]:
    """Lines of the statement: an amount, and the VAT on it where the next row states it."""
    for entry in statement.entries:
        for row, following in pairwise([*entry.rows, Row(("", ""), 0)]):
            event, word = row.words
            if word.endswith(_VAT):
                continue
            vat = following.cents if following.words == (event, word + _VAT) else 0
            yield Booking(entry, event.lower(), word.lower(), row.cents, vat)


def statement_file(statement: Statement) -> bytes:
    """Semicolons, decimal commas and Windows line ends: what a German spreadsheet saves."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", delimiter=";", lineterminator="\r\n")
    writer.writeheader()
    writer.writerow(
        {
            "record": "header",
            "statement": statement.ref,
            "period_from": f"{statement.start.astimezone(_ZONE):%Y-%m-%d}",
            "period_until": f"{statement.end.astimezone(_ZONE):%Y-%m-%d}",
            "paid_on": f"{statement.paid_at.astimezone(_ZONE):%Y-%m-%d}",
            "currency": statement.currency,
            "gross": cents_text(statement.total, ","),
        }
    )
    found = list(bookings(statement))
    writer.writerows(_line(booking) for booking in found)
    total = sum(booking.net + booking.vat for booking in found)
    writer.writerow({"record": "footer", "gross": cents_text(total, ","), "rows": len(found)})
    return out.getvalue().encode()


def _line(booking: Booking) -> dict[str, str]:
    entry = booking.entry
    values = {
        "record": "line",
        "event": booking.event,
        "kind": booking.kind,
        "booked_at": iso(entry.at),
        "net": cents_text(booking.net, ","),
        "vat": cents_text(booking.vat, ","),
        "gross": cents_text(booking.net + booking.vat, ","),
        "text": entry.note,
    }
    if entry.order and entry.line:
        values |= {
            "order": entry.order.ref,
            "order_number": order_number(entry.order),
            "position_item": entry.line.ref,
            "sku": entry.line.product.sku,
            "quantity": "1",
        }
    return values
