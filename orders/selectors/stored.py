"""What is already stored of a page of orders, to be compared with what came: a fixed number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

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
    order_columns: tuple[str, ...],
    line_columns: tuple[str, ...],
    refund_columns: tuple[str, ...],
) -> Stored:
    """Everything stored of these orders. Lines whose order is unknown are not looked for."""
    stored = Stored()
    wanted = Order.objects.filter(account=account, external_id__in=list(external_ids)).order_by()
    for pk, external_id, *values in wanted.values_list("pk", "external_id", *order_columns):
        stored.orders[external_id] = (pk, tuple(values))
    orders = [pk for pk, _values in stored.orders.values()]
    if not orders:
        return stored
    lines = OrderLine.objects.filter(order__in=orders)
    for pk, order, external_id, *values in lines.values_list("pk", "order", "external_id", *line_columns):
        stored.lines[order, external_id] = (pk, tuple(values))
        stored.line_ids[order].append(external_id)
    of_lines = [pk for pk, _values in stored.lines.values()]
    charges = OrderCharge.objects.filter(line__in=of_lines)
    for pk, line, *key, amount, currency in charges.values_list(
        "pk", "line", "event", "refund_ref", "kind", "amount", "currency"
    ):
        stored.charges[line][key[0], key[1], key[2]] = (pk, amount, currency)
    refunds = OrderRefund.objects.filter(line__in=of_lines)
    for pk, line, external_id, *values in refunds.values_list("pk", "line", "external_id", *refund_columns):
        stored.refunds[line][external_id] = (pk, tuple(values))
    odd = OrderException.objects.filter(order__in=orders)
    for order, code, *state in odd.values_list("order", "code", "detail", "resolved_at", "resolved_by"):
        stored.exceptions[order][code] = (state[0], state[1], state[2])
    contacts = BuyerContact.objects.filter(order__in=orders)
    for order, *dates in contacts.values_list("order", "purge_at", "purged_at"):
        stored.contacts[order] = (dates[0], dates[1])
    return stored
