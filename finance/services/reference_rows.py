"""How the rows of a connector's dated data files read: which table they fill and what each column means there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db.backends.postgresql.psycopg_any import DateRange, NumericRange

from domventas.core.errors import DomventasError
from domventas.core.models import ClientModel
from domventas.core.money import NotAnAmount, decimal
from finance.models import FeeKindMap, FeeRule, PaymentTerm, RefundRule, Tolerance
from marketplaces.records import FeeKind, FulfillmentOwner, MoneyEvent

Row = Mapping[str, str]


class BadReference(DomventasError, ValueError):
    """A data file of a connector cannot be read; the message names file, row and column."""

    message = "A data file of this marketplace cannot be read."


@dataclass(frozen=True, slots=True)
class Table:
    """One data file and the table it fills.

    Attributes:
        key: fields by which a row is known again; with `valid` among them, by its first day.
        owner: fields that say which rows of the table belong to the file (a channel, or a site).
        read: one line of the file → field values.
    """

    file: str
    model: type[ClientModel]
    key: tuple[str, ...]
    owner: str
    read: Callable[[Row], dict[str, Any]]


def _number(row: Row, column: str, default: str = "0") -> Decimal:
    return decimal(row.get(column, "").strip() or default, decimal_mark=".")


def _maybe(row: Row, column: str) -> Decimal | None:
    text = row.get(column, "").strip()
    return decimal(text, decimal_mark=".") if text else None


def _whole(row: Row, column: str) -> int | None:
    text = row.get(column, "").strip()
    return int(text) if text else None


def _day(row: Row, column: str) -> date | None:
    text = row.get(column, "").strip()
    return date.fromisoformat(text) if text else None


def _valid(row: Row) -> DateRange:
    """Both days are written as people write them: `valid_to` is the first day on which the rule is over."""
    return DateRange(_day(row, "valid_from"), _day(row, "valid_to"), "[)")


def _flag(row: Row, column: str) -> bool:
    text = row.get(column, "").strip().lower()
    if text not in {"yes", "no", ""}:
        raise ValueError(f"{text!r} is neither yes nor no")
    return text == "yes"


def _text(row: Row, column: str) -> str:
    text = row.get(column, "").strip()
    return "" if text == "*" else text


def _kind_map(row: Row) -> dict[str, Any]:
    sign = row.get("sign", "").strip()
    return {
        "pattern": row["raw_type_pattern"].strip().casefold(),
        "event": MoneyEvent(row["event"].strip()).value,
        "kind": FeeKind(row["kind"].strip()).value,
        "sign": {"": None, "+": 1, "-": -1, "1": 1, "-1": -1, "+1": 1, "0": None, "±": None, "+-": None}[sign],
        "note": row.get("note", "").strip(),
    }


def _fee_rule(row: Row) -> dict[str, Any]:
    fulfillment = _text(row, "fulfillment")
    return {
        "site": row["site"].strip(),
        "kind": FeeKind(row["kind"].strip()).value,
        "category": _text(row, "category"),
        "fulfillment": FulfillmentOwner(fulfillment).value if fulfillment else "",
        "price_band": NumericRange(_maybe(row, "price_from"), _maybe(row, "price_to"), "[)"),
        "weight_band": NumericRange(_whole(row, "weight_from_g"), _whole(row, "weight_to_g"), "[)"),
        "basis": FeeRule.Basis(row["basis"].strip()).value,
        "rate": _number(row, "rate"),
        "fixed_amount": _number(row, "fixed_amount"),
        "min_amount": _number(row, "min_amount"),
        "currency": row["currency"].strip(),
        "fee_tax_rate": _number(row, "fee_tax_rate"),
        "is_tax_in_line": _flag(row, "fee_tax_in_line"),
        "valid": _valid(row),
        "source": row["source"].strip(),
    }


def _refund_rule(row: Row) -> dict[str, Any]:
    retained = _text(row, "retained_kind")
    return {
        "site": row["site"].strip(),
        "kind": FeeKind(row["kind"].strip()).value,
        "share_returned": _number(row, "share_returned"),
        "retained_kind": FeeKind(retained).value if retained else "",
        "retained_rate": _number(row, "retained_rate"),
        "retained_cap": _maybe(row, "retained_cap"),
        "currency": row["currency"].strip(),
        "fee_tax_rate": _number(row, "fee_tax_rate"),
        "valid": _valid(row),
        "source": row["source"].strip(),
    }


def _payment_term(row: Row) -> dict[str, Any]:
    return {
        "site": row["site"].strip(),
        "basis": PaymentTerm.Basis(row["basis"].strip()).value,
        "release_days": int(row["release_days"]),
        "cycle_days": int(row["cycle_days"]),
        "grace_days": int(row["grace_days"]),
        "transit_days": int(row.get("transit_days") or 7),
        "valid": _valid(row),
        "source": row["source"].strip(),
    }


def _tolerance(row: Row) -> dict[str, Any]:
    kind = _text(row, "kind")
    return {
        "site": row["site"].strip(),
        "kind": FeeKind(kind).value if kind else "",
        "currency": row["currency"].strip(),
        "absolute_amount": _number(row, "absolute_amount"),
        "share_of_fee": _number(row, "share_of_fee"),
        "valid": _valid(row),
        "source": row["source"].strip(),
    }


TABLES: Final = (
    Table("fee_kinds", FeeKindMap, ("pattern",), "channel", _kind_map),
    Table(
        "fee_rules",
        FeeRule,
        ("site", "kind", "category", "fulfillment", "price_band", "weight_band", "valid"),
        "site",
        _fee_rule,
    ),
    Table("refund_rules", RefundRule, ("site", "kind", "valid"), "site", _refund_rule),
    Table("payment_terms", PaymentTerm, ("site", "valid"), "site", _payment_term),
    Table("tolerances", Tolerance, ("site", "kind", "currency", "valid"), "site", _tolerance),
)


def read(table: Table, channel: str, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    """All lines of a file as field values. Raises: BadReference: names the file, the row and what was found."""
    result = []
    for number, row in enumerate(rows, start=2):
        try:
            values = table.read(row)
        except (KeyError, ValueError, NotAnAmount, AttributeError) as error:
            raise BadReference(f"{channel}/{table.file}.csv, row {number}: {error}") from error
        if table.owner == "channel":
            values["channel"] = channel
        result.append(values)
    return result
