"""What is already stored of a page of orders, to be compared with what came: a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from domventas.core.models import ClientModel
from domventas.core.tenancy import current
from marketplaces.models import Account
from orders.models import BuyerContact, Order, OrderCharge, OrderException, OrderLine, OrderRefund


@dataclass(slots=True)
class Stored:
    """Rows by their natural keys: lines by (order, line id), the others beneath the key of their parent."""

    orders: dict[str, tuple[int, tuple[Any, ...]]] = field(default_factory=dict)
    lines: dict[tuple[int, str], tuple[int, tuple[Any, ...]]] = field(default_factory=dict)
    line_ids: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    charges: dict[int, dict[tuple[str, str, str], tuple[int, Decimal, str]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    refunds: dict[int, dict[str, tuple[int, tuple[Any, ...]]]] = field(default_factory=lambda: defaultdict(dict))
    exceptions: dict[int, dict[str, tuple[str, datetime | None, str]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    contacts: dict[int, tuple[datetime, datetime | None]] = field(default_factory=dict)


def page(
    account: Account,
    external_ids: Collection[str],
    *,
    order_columns: Sequence[str],
    line_columns: Sequence[str],
    refund_columns: Sequence[str],
) -> Stored:
    """Everything stored of these orders, whatever brands the reader is limited to; columns are field names."""
    stored = Stored()
    wanted = {"account": account.pk, "names": list(external_ids)}
    for pk, external_id, *values in _rows(
        Order,
        ("id", "external_id", *order_columns),
        "account_id = %(account)s AND external_id = ANY(%(names)s)",
        wanted,
    ):
        stored.orders[external_id] = (pk, tuple(values))
    orders = {"keys": [pk for pk, _values in stored.orders.values()]}
    if not stored.orders:
        return stored
    columns = ("id", "order", "external_id", *line_columns)
    for pk, order, external_id, *values in _rows(OrderLine, columns, "order_id = ANY(%(keys)s)", orders):
        stored.lines[order, external_id] = (pk, tuple(values))
        stored.line_ids[order].append(external_id)
    lines = {"keys": [pk for pk, _values in stored.lines.values()]}
    columns = ("id", "line", "event", "refund_ref", "kind", "amount", "currency")
    for pk, line, event, refund, kind, amount, currency in _rows(
        OrderCharge, columns, "line_id = ANY(%(keys)s)", lines
    ):
        stored.charges[line][event, refund, kind] = (pk, amount, currency)
    columns = ("id", "line", "external_id", *refund_columns)
    for pk, line, external_id, *values in _rows(OrderRefund, columns, "line_id = ANY(%(keys)s)", lines):
        stored.refunds[line][external_id] = (pk, tuple(values))
    columns = ("order", "code", "detail", "resolved_at", "resolved_by")
    for order, code, detail, resolved_at, by in _rows(OrderException, columns, "order_id = ANY(%(keys)s)", orders):
        stored.exceptions[order][code] = (detail, resolved_at, by)
    columns = ("order", "purge_at", "purged_at")
    for order, purge_at, purged_at in _rows(BuyerContact, columns, "order_id = ANY(%(keys)s)", orders):
        stored.contacts[order] = (purge_at, purged_at)
    return stored


def digests(account: Account, external_ids: Collection[str]) -> dict[str, str]:
    """By order id the digest of the record that is stored; empty where something is left to be found out."""
    wanted = {"account": account.pk, "names": list(external_ids)}
    condition = "account_id = %(account)s AND external_id = ANY(%(names)s)"
    return dict(_rows(Order, ("external_id", "digest"), condition, wanted))


def newest_change() -> datetime | None:
    """When an order line of the client was last changed here."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(changed_at) FROM orders_orderline WHERE client_id = %s", [current().one])
        found: datetime | None = cursor.fetchone()[0]
    return found


def _rows(
    model: type[ClientModel], fields: Sequence[str], condition: str, parameters: Mapping[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """Plain rows: for thousands of keys an array is several times faster than the ORM's list of placeholders."""
    columns = ", ".join(f'"{model._meta.get_field(name).column}"' for name in fields)  # type: ignore[union-attr]  # concrete
    sql = f'SELECT {columns} FROM "{model._meta.db_table}" WHERE client_id = %(client)s AND {condition}'
    with connection.cursor() as cursor:
        cursor.execute(sql, {"client": current().one, **parameters})
        yield from cursor.fetchall()
