"""Bunnings' books (Mirakl): transaction lines of sales and refunds, billing cycles closing every Tuesday and Friday."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from uuid import NAMESPACE_URL, uuid5

from .amounts import line_amounts, referral, with_tax
from .model import Entry, Line, Order, Row, Statement
from .places import Account

_TUESDAY, _FRIDAY = 1, 4
_PAYS_AFTER = timedelta(days=2)


def stable_uuid(*parts: object) -> str:
    """The same id for the same thing in every run."""
    return str(uuid5(NAMESPACE_URL, ":".join(map(str, parts))))


def order_entries(orders: list[Order]) -> Iterator[Entry]:
    """A sale is known when the buyer is debited and payable once received; a refund is payable at once."""
    for order in orders:
        for line in order.lines:
            if line.delivered_at is None:
                continue
            yield Entry(
                ref=f"S{line.ref}",
                event="sale",
                created_at=order.confirmed_at,
                at=line.delivered_at,
                rows=_sale_rows(order, line),
                order=order,
                line=line,
            )
            if line.refund:
                yield Entry(
                    ref=f"R{line.ref}",
                    event="refund",
                    created_at=line.refund.at,
                    at=line.refund.at,
                    rows=_refund_rows(order, line, line.refund.quantity),
                    order=order,
                    line=line,
                    refund=line.refund,
                )


def _fee_rows(site: str, prefix: str, fee: int) -> list[Row]:
    sign = 1 if prefix else -1
    tax = with_tax(site, fee) - fee
    return [Row((f"{prefix}COMMISSION_FEE",), sign * fee), Row((f"{prefix}COMMISSION_VAT",), sign * tax)]


def _sale_rows(order: Order, line: Line) -> list[Row]:
    amounts = line_amounts(order, line)
    rows = [Row(("ORDER_AMOUNT",), line.price_cents)]
    if line.shipping_cents:
        rows.append(Row(("ORDER_SHIPPING_AMOUNT",), line.shipping_cents))
    return rows + _fee_rows(order.site, "", referral(order, line, amounts))


def _refund_rows(order: Order, line: Line, quantity: int) -> list[Row]:
    amounts = line_amounts(order, line, quantity)
    rows = [Row(("REFUND_ORDER_AMOUNT",), -line.unit_cents * quantity)]
    return rows + _fee_rows(order.site, "REFUND_", referral(order, line, amounts))


def make_statements(
    seed: int, account: Account, entries: list[Entry], now: datetime, days: int, ahead: int
) -> list[Statement]:
    """Two cycles a week; each holds what became payable since the one before."""
    rng = Random(f"{seed}:{account.code}:statements")
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    edges = [midnight + timedelta(days=n) for n in range(-days, ahead + 1)]
    edges = [e for e in edges if e.weekday() in (_TUESDAY, _FRIDAY)]
    statements = [
        Statement(
            ref=stable_uuid(seed, account.code, "cycle", after.isoformat()),
            account=account.code,
            currency=account.currency,
            start=before,
            end=after,
            issued_at=after + timedelta(minutes=rng.randrange(5, 50)),
            paid_at=after + _PAYS_AFTER + timedelta(minutes=rng.randrange(60, 400)),
        )
        for before, after in pairwise(edges)
    ]
    place(entries, statements)
    for statement in statements:
        _subscription(statement)
    return statements


def place(entries: list[Entry], statements: list[Statement]) -> None:
    """Put each entry into the statement whose period holds its release."""
    ends = [statement.end for statement in statements]
    for entry in entries:
        index = bisect_right(ends, entry.at)
        if index < len(statements) and statements[index].start <= entry.at:
            entry.statement = statements[index].ref
            statements[index].entries.append(entry)


def _subscription(statement: Statement) -> None:
    """49.00 and its tax on the first of each month."""
    first = statement.end.replace(day=1) + timedelta(hours=3)
    if statement.start <= first < statement.end:
        rows = [Row(("SUBSCRIPTION_FEE",), -4900), Row(("SUBSCRIPTION_VAT",), -490)]
        statement.entries.append(
            Entry(
                ref=f"A{statement.ref[:8]}",
                event="account",
                created_at=first,
                at=first,
                rows=rows,
                statement=statement.ref,
                note="Monthly subscription",
            )
        )
