"""Settlement files in Amazon's V2 layout: 24 columns, a summary row, and each region's numbers, dates and charset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..world.model import Entry, Row, Statement
from ..world.places import SITES
from .http import cents_text

COLUMNS = (
    "settlement-id",
    "settlement-start-date",
    "settlement-end-date",
    "deposit-date",
    "total-amount",
    "currency",
    "transaction-type",
    "order-id",
    "merchant-order-id",
    "adjustment-id",
    "shipment-id",
    "marketplace-name",
    "amount-type",
    "amount-description",
    "amount",
    "fulfillment-id",
    "posted-date",
    "posted-date-time",
    "order-item-code",
    "merchant-order-item-id",
    "merchant-adjustment-item-id",
    "sku",
    "quantity-purchased",
    "promotion-id",
)
_ADS = "TransactionTotalAmount"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a region writes."""

    charset: str
    content_type: str
    amount: Callable[[int], str]
    day: str
    moment: str
    repeats_currency: bool
    promotion: str


_EUROPE = Dialect(
    charset="cp1252",
    content_type="text/plain; charset=Cp1252",
    amount=lambda cents: cents_text(cents, ","),
    day="%d.%m.%Y",
    moment="%d.%m.%Y %H:%M:%S UTC",
    repeats_currency=False,
    promotion="Frühjahrs-Aktion für Größen",
)
_AMERICA = Dialect(
    charset="utf-8",
    content_type="text/plain; charset=UTF-8",
    amount=cents_text,
    day="%Y-%m-%d",
    moment="%Y-%m-%d %H:%M:%S UTC",
    repeats_currency=True,
    promotion="Coupon – Spring Sale",
)


def dialect_of(statement: Statement) -> Dialect:
    """Euro files are written the European way."""
    return _EUROPE if statement.currency == "EUR" else _AMERICA


def settlement_file(statement: Statement, revision: int) -> bytes:
    """The file as issued: revision 0 first, 1 where a corrected one followed."""
    dialect = dialect_of(statement)
    wrong = statement.correction if statement.corrected_at and revision == 0 else 0
    lines = ["\t".join(COLUMNS), _line(_summary(statement, dialect, wrong))]
    for entry, row in _rows(statement, wrong):
        lines.append(_line(_detail(statement, entry, row, dialect)))
    return ("\r\n".join(lines) + "\r\n").encode(dialect.charset)


def _rows(statement: Statement, wrong: int) -> Iterator[tuple[Entry, Row]]:
    for entry in statement.entries:
        for row in entry.rows:
            yield entry, row._replace(cents=row.cents + wrong) if row.words[2] == _ADS else row


def _line(values: dict[str, str]) -> str:
    return "\t".join(values.get(column, "") for column in COLUMNS)


def _summary(statement: Statement, dialect: Dialect, wrong: int) -> dict[str, str]:
    return {
        "settlement-id": statement.ref,
        "settlement-start-date": statement.start.strftime(dialect.moment),
        "settlement-end-date": statement.end.strftime(dialect.moment),
        "deposit-date": statement.paid_at.strftime(dialect.moment),
        "total-amount": dialect.amount(statement.total + wrong),
        "currency": statement.currency,
    }


def _detail(statement: Statement, entry: Entry, row: Row, dialect: Dialect) -> dict[str, str]:
    kind, amount_type, description = row.words
    values = {
        "settlement-id": statement.ref,
        "currency": statement.currency if dialect.repeats_currency else "",
        "transaction-type": kind,
        "amount-type": amount_type,
        "amount-description": description,
        "amount": dialect.amount(row.cents),
        "posted-date": entry.at.strftime(dialect.day),
        "posted-date-time": _moment(entry.at, dialect),
    }
    if entry.order and entry.line:
        values |= _order_columns(entry, amount_type, dialect)
    return values


def _moment(at: datetime, dialect: Dialect) -> str:
    return at.strftime(dialect.moment)


def _order_columns(entry: Entry, amount_type: str, dialect: Dialect) -> dict[str, str]:
    order, line = entry.order, entry.line
    if order is None or line is None:
        return {}
    values = {
        "order-id": order.ref,
        "merchant-order-id": order.ref,
        "shipment-id": f"D{order.ref.replace('-', '')[3:]}{line.package}",
        "marketplace-name": SITES[order.site].name,
        "fulfillment-id": "AFN" if order.fulfilled_by == "AMAZON" else "MFN",
        "order-item-code": line.ref,
        "sku": line.product.sku,
        "quantity-purchased": str(entry.refund.quantity if entry.refund else line.quantity),
    }
    if entry.refund:
        values["adjustment-id"] = f"{order.ref}-R{entry.refund.ref}"
        values["merchant-adjustment-item-id"] = entry.refund.ref
    if amount_type == "Promotion":
        values["promotion-id"] = f"{dialect.promotion} {line.product.asin}"
    return values
