"""Amazon's settlement files of both versions as settlement records: one summary row, then one line per amount."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter

from marketplaces.connectors.amazon import settlement_text as source
from marketplaces.connectors.amazon.sites import BY_CODE
from marketplaces.errors import Malformed
from marketplaces.protocols import sheets
from marketplaces.protocols.sheets import Row
from marketplaces.records import SettlementLineRecord, SettlementRecord

_HEADER_FIELDS = frozenset(
    ["settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date", "total-amount", "currency"]
)
_COMMON = _HEADER_FIELDS | frozenset(
    [
        "transaction-type",
        "order-id",
        "merchant-order-id",
        "adjustment-id",
        "shipment-id",
        "marketplace-name",
        "fulfillment-id",
        "posted-date",
        "order-item-code",
        "merchant-order-item-id",
        "merchant-adjustment-item-id",
        "sku",
        "quantity-purchased",
        "promotion-id",
    ]
)
_V2 = frozenset(["amount-type", "amount-description", "amount", "posted-date-time"])
_V1_AMOUNTS = (
    # (amount column, column with the words for it, what the second version calls the type)
    ("shipment-fee-amount", "shipment-fee-type", "Shipment-Fees"),
    ("order-fee-amount", "order-fee-type", "Order-Fees"),
    ("price-amount", "price-type", "ItemPrice"),
    ("item-related-fee-amount", "item-related-fee-type", "ItemFees"),
    ("misc-fee-amount", "", "Misc-Fees"),
    ("other-fee-amount", "other-fee-reason-description", "Other-Fees"),
    ("promotion-amount", "promotion-type", "Promotion"),
    ("direct-payment-amount", "direct-payment-type", "Direct-Payment"),
    ("other-amount", "", "other-transaction"),
)
_V1 = frozenset(x for amount, words, _ in _V1_AMOUNTS for x in (amount, words) if x)
_IDENTITY = (
    *("order-id", "merchant-order-id", "adjustment-id", "shipment-id", "marketplace-name", "fulfillment-id"),
    *("order-item-code", "merchant-order-item-id", "merchant-adjustment-item-id", "sku", "quantity-purchased"),
    "promotion-id",
)
#: What a line of the second version says beside what it is told apart by.
_SAID = (
    *("settlement-id", "currency", "transaction-type", "amount-type", "amount-description", "amount"),
    "posted-date-time",
)


@dataclass(frozen=True)
class _Sheet:
    """What holds for the whole file, taken from its header and summary row."""

    text: str
    names: list[str]
    start: int
    settlement_ref: str
    currency: str
    mark: str

    @property
    def is_v2(self) -> bool:
        return "amount" in self.names


def parse_settlement(body: bytes, name: str = "", *, content_type: str = "") -> SettlementRecord:
    """Read a settlement file of either version; its lines stream out of the record.

    Args:
        name: the file's name, for the notes. content_type: as the download stated it, for its charset.

    Raises:
        Malformed: no settlement file, no summary row, unreadable amount or date. Reading the lines raises it too, when
            a row further down is cut or unreadable.
    """
    text, charset = sheets.decode(body, content_type)
    names, start = source.header(text)
    if "amount" not in names and not _V1 & set(names):
        raise Malformed("This settlement file has no column of amounts.", path="row 1")
    summary = next(source.rows(text, names, start), None)
    if summary is None or not summary.values.get("total-amount"):
        where = f"Row {summary.number}" if summary else "Row 2"
        raise Malformed(
            f"{where}: the summary row with total-amount is missing; the file is not complete.",
            path="row 2.total-amount",
        )
    mark = sheets.decimal_mark(_amounts(text, names, start, summary))
    sheet = _Sheet(text, names, start, _required(summary, "settlement-id"), _currency(summary), mark)
    deposit = sheets.moment(summary, "deposit-date")
    return SettlementRecord(
        settlement_ref=sheet.settlement_ref,
        currency=sheet.currency,
        period_start=sheets.moment(summary, "settlement-start-date"),
        period_end=sheets.moment(summary, "settlement-end-date"),
        paid_on=deposit.date() if deposit else None,
        total=sheets.number(summary, "total-amount", mark),
        lines=_lines(sheet),
        notes=_notes(sheet, charset, name, body),
    )


def _amounts(text: str, names: list[str], start: int, summary: Row) -> Iterator[str]:
    """Amounts in the order they stand, the summary's total first: they tell the decimal mark."""
    yield summary.values["total-amount"]
    columns = ["amount"] if "amount" in names else [amount for amount, _, _ in _V1_AMOUNTS if amount in names]
    for row in source.rows(text, names, start):
        yield from (value for column in columns if (value := row.values.get(column, "")))


def _required(row: Row, field: str) -> str:
    value = row.values.get(field, "")
    if not value:
        raise row.refuse(field, "it is empty.")
    return value


def _currency(summary: Row) -> str:
    currency = _required(summary, "currency").upper()
    if len(currency) != 3 or not currency.isalpha():
        raise summary.refuse("currency", f"“{currency[:20]}” is no currency.")
    return currency


def _notes(sheet: _Sheet, charset: str, name: str, body: bytes) -> tuple[str, ...]:
    found = [
        f"{'second' if sheet.is_v2 else 'first'} version, {len(sheet.names)} columns",
        f"characters: {charset}",
        f"decimal {'comma' if sheet.mark == ',' else 'point'}",
    ]
    if name:
        found.append(f"file: {name[:100]}")
    unknown = [x for x in sheet.names if x and x not in _COMMON | (_V2 if sheet.is_v2 else _V1)]
    if unknown:
        found.append(f"columns we do not know: {', '.join(unknown)[:200]}")
    if not sheet.text.endswith(("\n", "\r")) and body:
        found.append("the last row does not end with a line break")
    return tuple(found)


def _lines(sheet: _Sheet) -> Iterator[SettlementLineRecord]:
    found = source.cells(sheet.text, sheet.names, sheet.start)
    next(found)
    usual = _Usual.of(sheet)
    for number, fields in found:
        line = usual.line(number, fields) if usual else None
        if line is not None:
            yield line
            continue
        row = source.row(number, sheet.names, fields)
        values = row.values
        if (ref := values.get("settlement-id", "")) and ref != sheet.settlement_ref:
            raise row.refuse("settlement-id", f"{ref[:40]} is another settlement than {sheet.settlement_ref}.")
        if (currency := values.get("currency", "")) and currency.upper() != sheet.currency:
            raise row.refuse("currency", f"{currency[:20]} in a settlement of {sheet.currency}.")
        amounts = _v2_amounts(row) if sheet.is_v2 else _v1_amounts(row)
        if not amounts and values.get("total-amount") and not values.get("transaction-type"):
            raise row.refuse("total-amount", "this is a second summary row; a settlement has one.")
        for field, kind, words in amounts:
            yield _line(sheet, row, field, kind, words)


@dataclass(frozen=True)
class _Usual:
    """Reads a line as nearly all of the second version are, by the places of its cells: in half the time.

    Whatever is not as usual is None here and read, or refused in words, by its names.
    """

    sheet: _Sheet
    said: Callable[[list[str]], tuple[str, ...]]
    identity: Callable[[list[str]], tuple[str, ...]]

    @classmethod
    def of(cls, sheet: _Sheet) -> _Usual | None:
        """For a file that has all columns we know and writes amounts with a point."""
        if sheet.mark != "." or not sheet.is_v2 or not {*_SAID, *_IDENTITY} <= set(sheet.names):
            return None
        at = {name: place for place, name in enumerate(sheet.names)}
        return cls(sheet, itemgetter(*(at[name] for name in _SAID)), itemgetter(*(at[name] for name in _IDENTITY)))

    def line(self, number: int, fields: list[str]) -> SettlementLineRecord | None:
        """The line in these cells; None when something in them is not as usual."""
        ref, currency, transaction, kind, words, amount, posted = self.said(fields)
        identity = tuple(map(str.strip, self.identity(fields)))
        order, _own, adjustment, _shipment, site, _center, code, _item, adjusted, sku, quantity, promotion = identity
        if (
            (ref and ref != self.sheet.settlement_ref) or (currency and currency != self.sheet.currency)
            or not transaction or not sheets.is_usual_amount(amount) or not posted
            or (quantity and not (quantity.isascii() and quantity.isdigit()))
        ):  # fmt: skip
            return None
        moment = sheets.moment_in(posted.strip())
        if moment is None:
            return None
        words = words.strip()
        raw_type, value = _raw_type(transaction.strip(), kind.strip(), words), Decimal(amount)
        return SettlementLineRecord(
            raw_type=raw_type,
            amount=value,
            currency=self.sheet.currency,
            posted_at=moment,
            ordinal=number,
            raw_key="\x1f".join((raw_type, f"{value:f}", _told(moment), *identity)),
            order_ref=order or None,
            order_line_ref=code or None,
            refund_ref=adjustment or adjusted or None,
            seller_sku=sku or None,
            site=_site(site),
            quantity=int(quantity) if quantity else None,
            description=(f"{words} {promotion}" if words and promotion else words or promotion)[:300],
        )


def _v2_amounts(row: Row) -> list[tuple[str, str, str]]:
    values = row.values
    if values.get("total-amount") and not values.get("transaction-type") and not values.get("amount"):
        return []
    if not values.get("amount"):
        raise row.refuse("amount", "it is empty.")
    return [("amount", values.get("amount-type", ""), values.get("amount-description", ""))]


def _v1_amounts(row: Row) -> list[tuple[str, str, str]]:
    """Every amount of the row; rows that only state a quantity have none."""
    values, kind = row.values, row.values.get("transaction-type", "")
    return [
        (amount, name, values.get(words, "") if words else kind)
        for amount, words, name in _V1_AMOUNTS
        if values.get(amount)
    ]


@lru_cache(maxsize=1024)  # a file has a few dozen of them, and hundreds of thousands of lines
def _raw_type(*parts: str) -> str:
    return "|".join(parts).casefold()


@lru_cache(maxsize=1024)  # the lines of one order stand together
def _told(moment: datetime | None) -> str:
    return str(moment)


def _line(sheet: _Sheet, row: Row, field: str, kind: str, words: str) -> SettlementLineRecord:
    get = row.values.get
    transaction = (
        "other-transaction" if kind == "other-transaction" and not sheet.is_v2 else get("transaction-type", "")
    )
    raw_type, promotion = _raw_type(transaction, kind, words), get("promotion-id", "")
    amount, posted_at = sheets.number(row, field, sheet.mark), _posted_at(row)
    return SettlementLineRecord(
        raw_type=raw_type,
        amount=amount,
        currency=sheet.currency,
        posted_at=posted_at,
        ordinal=row.number,
        raw_key="\x1f".join([raw_type, f"{amount:f}", _told(posted_at), *[get(x, "") for x in _IDENTITY]]),
        order_ref=get("order-id") or None,
        order_line_ref=get("order-item-code") or None,
        refund_ref=get("adjustment-id") or get("merchant-adjustment-item-id") or None,
        seller_sku=get("sku") or None,
        site=_site(get("marketplace-name", "")),
        quantity=_quantity(row),
        description=(f"{words} {promotion}" if words and promotion else words or promotion)[:300],
    )


def _posted_at(row: Row) -> datetime | None:
    """When it was booked. A date with slashes alone is left out: day and month change places between countries."""
    if row.values.get("posted-date-time"):
        return sheets.moment(row, "posted-date-time")
    return None if "/" in row.values.get("posted-date", "") else sheets.moment(row, "posted-date")


@lru_cache(maxsize=256)
def _site(name: str) -> str | None:
    code = name.strip().lower()
    return code if code in BY_CODE else None


def _quantity(row: Row) -> int | None:
    text = row.values.get("quantity-purchased", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise row.refuse("quantity-purchased", f"“{text[:20]}” is no number of pieces.")
    return int(text)
