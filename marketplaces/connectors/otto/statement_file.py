"""Otto's statements as files: Otto has no call for them, so they come in a layout of our own (README.md)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from marketplaces.errors import Malformed
from marketplaces.protocols import sheets
from marketplaces.protocols.sheets import Row
from marketplaces.records import SettlementLineRecord, SettlementRecord

COLUMNS = (
    "record", "statement", "period_from", "period_until", "paid_on", "currency", "order", "order_number",
    "position_item", "sku", "event", "kind", "booked_at", "quantity", "net", "vat", "gross", "rows", "text",
)  # fmt: skip
SITE = "otto.de"
EVENTS = ("sale", "refund", "account")
_ZONE = ZoneInfo("Europe/Berlin")
_SEPARATORS = ";\t,"
_IDENTITY = ("order", "position_item", "sku", "quantity", "text")
_NOT_WHOLE = "The file is not complete; please fetch it again."


@dataclass(frozen=True)
class _Sheet:
    """What holds for the whole file, taken from its first two rows."""

    text: str
    separator: str
    names: list[str]
    header: Row
    mark: str = "."
    notes: list[str] = field(default_factory=list)


def parse_settlement(body: bytes, name: str = "") -> SettlementRecord:
    """Read a statement; its lines stream out of the record.

    Args:
        name: the file's name, for the notes.

    Raises:
        Malformed: no statement, no header row, unreadable amount or date. Reading the lines raises it too: when a row
            further down is cut or unreadable, when the footer is missing or does not count what stands above it.
    """
    text, charset = sheets.decode(body)
    sheet = _open(text)
    header = sheet.header
    notes = [f"{len(sheet.names)} columns", f"characters: {charset}",
             f"decimal {'comma' if sheet.mark == ',' else 'point'}"]  # fmt: skip
    if name:
        notes.append(f"file: {name[:100]}")
    if unknown := [x for x in sheet.names if x and x not in COLUMNS]:
        notes.append(f"columns we do not know: {', '.join(unknown)[:200]}")
    paid_on = _moment(header, "paid_on")
    return SettlementRecord(
        settlement_ref=_required(header, "statement"),
        currency=_currency(header),
        period_start=_needed(header, "period_from"),
        period_end=_needed(header, "period_until"),
        paid_on=paid_on.astimezone(_ZONE).date() if paid_on else None,
        total=sheets.number(header, "gross", sheet.mark),
        lines=_lines(sheet),
        notes=tuple(notes),
    )


def _open(text: str) -> _Sheet:
    first = text.split("\n", 1)[0].rstrip("\r")
    separator = max(_SEPARATORS, key=first.count)
    names = [name.strip().strip('"').lower() for name in first.split(separator)]
    missing = [name for name in COLUMNS if name not in names and name != "text"]
    if "record" not in names or "statement" not in names:
        start = first.strip()[:40] or "nothing"
        raise Malformed(
            "This is no statement: its first line should name the columns record and statement, but begins with "
            f"“{start}”.",
            path="row 1",
        )
    if missing:
        raise Malformed(f"Row 1: the column {missing[0]} is missing.", path="row 1")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise Malformed(f"Row 1: the column {twice} occurs twice.", path="row 1")
    header = next(_rows(text, separator, names), None)
    if header is None or header.values["record"] != "header":
        raise Malformed("Row 2: the header row with the total is missing. " + _NOT_WHOLE, path="row 2.record")
    return _Sheet(text, separator, names, header, sheets.decimal_mark(_amounts(text, separator, names)))


def _rows(text: str, separator: str, names: list[str]) -> Iterator[Row]:
    """Rows below the column names; a short one is cut, a long one has a separator in its text.

    Raises: Malformed: names the row.
    """
    # Not by splitlines(): a text may hold what Unicode calls a line break and no spreadsheet does.
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    number = 1
    try:
        next(reader, None)
        for fields in reader:
            number = reader.line_num
            if not any(x.strip() for x in fields):
                continue
            if len(fields) < len(names):
                last = names[len(fields) - 1]
                told = f"Row {number} is cut: it has {len(fields)} of {len(names)} fields and ends in {last}."
                raise Malformed(f"{told} {_NOT_WHOLE}", path=f"row {number}.{last}")
            if len(fields) > len(names):
                told = f"Row {number} has {len(fields)} fields, but the file has {len(names)} columns."
                raise Malformed(told, path=f"row {number}")
            yield Row(number, dict(zip(names, (x.strip() for x in fields), strict=True)))
    except csv.Error as error:
        where = number + 1
        raise Malformed(f"Row {where} is cut: {error}. {_NOT_WHOLE}", path=f"row {where}") from error


def _amounts(text: str, separator: str, names: list[str]) -> Iterator[str]:
    """Amounts in the order they stand, the header's total first: they tell the decimal mark."""
    for row in _rows(text, separator, names):
        yield from (row.values[name] for name in ("gross", "net", "vat") if row.values[name])


def _required(row: Row, name: str) -> str:
    value = row.values[name]
    if not value:
        raise row.refuse(name, "it is empty.")
    return value


def _currency(header: Row) -> str:
    currency = _required(header, "currency").upper()
    if len(currency) != 3 or not currency.isalpha():
        raise header.refuse("currency", f"“{currency[:20]}” is no currency.")
    return currency


def _needed(row: Row, name: str) -> datetime:
    """A moment without which nobody could tell what the statement covers."""
    found = _moment(row, name)
    if found is None:
        raise row.refuse(name, "it is empty.")
    return found


def _moment(row: Row, name: str) -> datetime | None:
    """A moment in UTC; a day without a time begins at midnight in Germany."""
    value = row.values[name]
    found = sheets.moment(row, name)
    if found is None or ":" in value:
        return found
    return found.replace(tzinfo=_ZONE).astimezone(UTC)


def _lines(sheet: _Sheet) -> Iterator[SettlementLineRecord]:
    """Every booking as its net amount and, where there is one, the VAT on it; then the footer has to agree."""
    rows = _rows(sheet.text, sheet.separator, sheet.names)
    next(rows)
    count, total, last = 0, Decimal(0), sheet.header.number
    for row in rows:
        last, record = row.number, row.values["record"]
        if record == "footer":
            _agree(row, sheet, count, total)
            if (more := next(rows, None)) is not None:
                raise more.refuse("record", "there is a row below the footer; a file holds one statement.")
            return
        if record != "line":
            known = "this is a second header row; a file holds one statement." if record == "header" else (
                f"“{record[:20]}” is neither line nor footer.")  # fmt: skip
            raise row.refuse("record", known)
        count, total = count + 1, total + sheets.number(row, "gross", sheet.mark)
        yield from _line(sheet, row)
    raise Malformed(f"Row {last + 1}: the footer row is missing. {_NOT_WHOLE}", path=f"row {last + 1}.record")


def _agree(footer: Row, sheet: _Sheet, count: int, total: Decimal) -> None:
    """The footer counts the lines and adds them up: what does not fit was lost on the way.

    Raises: Malformed: names both figures.
    """
    stated = _required(footer, "rows")
    if stated != str(count):
        raise footer.refuse("rows", f"it counts {stated[:20]} lines, above it stand {count}. {_NOT_WHOLE}")
    sum_stated = sheets.number(footer, "gross", sheet.mark)
    if sum_stated != total:
        raise footer.refuse("gross", f"it says {sum_stated:f}, the lines above it add up to {total:f}. {_NOT_WHOLE}")


def _line(sheet: _Sheet, row: Row) -> Iterator[SettlementLineRecord]:
    values, header = row.values, sheet.header
    for name in ("statement", "currency"):
        if values[name] and values[name].casefold() != header.values[name].casefold():
            raise row.refuse(name, f"{values[name][:40]} in a statement that says {header.values[name][:40]}.")
    event, kind = values["event"].casefold(), _required(row, "kind").casefold()
    if event not in EVENTS:
        raise row.refuse("event", f"“{event[:20]}” is none of {', '.join(EVENTS)}.")
    net, vat, gross = (sheets.number(row, name, sheet.mark) for name in ("net", "vat", "gross"))
    if net + vat != gross:
        raise row.refuse("gross", f"{gross:f} is not net and VAT together, {net + vat:f}.")
    if event != "account":
        _required(row, "order")
    posted_at = _moment(row, "booked_at")
    for raw_type, amount in ((f"{event}|{kind}", net), (f"{event}|{kind}|vat", vat)):
        if not amount and (vat or raw_type.endswith("|vat")):
            continue
        yield SettlementLineRecord(
            raw_type=raw_type,
            amount=amount,
            currency=_currency(header),
            posted_at=posted_at,
            ordinal=row.number,
            raw_key="\x1f".join((raw_type, f"{amount:f}", str(posted_at), *(values.get(x, "") for x in _IDENTITY))),
            order_ref=values["order"] or None,
            order_line_ref=values["position_item"] or None,
            refund_ref=f"{values['position_item'] or values['order']}-return" if event == "refund" else None,
            seller_sku=values["sku"] or None,
            site=SITE,
            quantity=_quantity(row),
            description=(values.get("text") or kind)[:300],
        )


def _quantity(row: Row) -> int | None:
    text = row.values["quantity"]
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise row.refuse("quantity", f"“{text[:20]}” is no number of pieces.")
    return int(text)
