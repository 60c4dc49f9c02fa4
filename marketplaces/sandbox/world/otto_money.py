"""Otto's books: a sale is credited 30 days after dispatch, statements close on Mondays and come as files days later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

from .amounts import line_amounts
from .bunnings_money import place
from .model import Entry, Line, Order, Row, Statement
from .places import SITES, Account, half_up, otto_points

CREDITED_AFTER = timedelta(days=30)
_MONDAY = 0
_ISSUED_AFTER = timedelta(days=3)
_PAYS_AFTER = timedelta(days=5)
_SITE = "otto.de"
_VAT = "_VAT"


def order_entries(orders: list[Order]) -> Iterator[Entry]:
    """One sale for every piece sent, one refund for every piece that came back; never a refund before its sale."""
    for order in orders:
        for line in order.lines:
            if line.shipped_at is None or line.delivered_at is None:
                continue
            credited = line.shipped_at + CREDITED_AFTER
            yield Entry(
                ref=f"S{line.ref}",
                event="sale",
                created_at=line.shipped_at,
                at=credited,
                rows=_sale_rows(order, line),
                order=order,
                line=line,
            )
            if line.refund:
                yield Entry(
                    ref=f"R{line.ref}",
                    event="refund",
                    created_at=line.refund.at,
                    at=max(line.refund.at, credited + timedelta(hours=1)),
                    rows=_refund_rows(order, line),
                    order=order,
                    line=line,
                    refund=line.refund,
                )


def rows(event: str, word: str, net: int, vat: int) -> list[Row]:
    """One booking: its net amount and the VAT on it [cents]; nothing where there is nothing."""
    found = [Row((event, word), net)] if net or vat else []
    return found + ([Row((event, word + _VAT), vat)] if vat else [])


def commission(order: Order, line: Line, *, with_delivery: bool) -> tuple[int, int]:
    """Commission on the buyer's price of a piece and on its delivery, and the VAT on it [cents]."""
    goods = line.price_cents - line.discount_cents
    basis = goods + (line.shipping_cents if with_delivery else 0)
    fee = half_up(basis * otto_points(line.product.category, goods), 10_000)
    return fee, half_up(fee * SITES[order.site].vat_percent, 100)


def _sale_rows(order: Order, line: Line) -> list[Row]:
    amounts = line_amounts(order, line)
    fee, fee_vat = commission(order, line, with_delivery=True)
    return [
        *rows("SALE", "ITEM_PRICE", amounts.principal, amounts.tax),
        *rows("SALE", "DELIVERY_FEE", amounts.shipping, amounts.shipping_tax),
        *rows("SALE", "DISCOUNT", -amounts.discount, -amounts.discount_tax),
        *rows("SALE", "COMMISSION", -fee, -fee_vat),
    ]


def _refund_rows(order: Order, line: Line) -> list[Row]:
    """A piece comes back whole; Otto keeps nothing of its commission, the buyer not the delivery fee."""
    amounts = line_amounts(order, line, line.quantity)
    fee, fee_vat = commission(order, line, with_delivery=False)
    return [
        *rows("REFUND", "ITEM_PRICE", -amounts.principal, -amounts.tax),
        *rows("REFUND", "DISCOUNT", amounts.discount, amounts.discount_tax),
        *rows("REFUND", "COMMISSION", fee, fee_vat),
    ]


def make_statements(
    seed: int, account: Account, entries: list[Entry], now: datetime, days: int, ahead: int
) -> list[Statement]:
    """Weeks from Monday to Monday in Germany; the last ones hold what is credited for sales of the coming days."""
    rng = Random(f"{seed}:{account.code}:statements")
    zone = ZoneInfo(SITES[_SITE].zone)
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    nights = [today + timedelta(days=n) for n in range(-days - 7, ahead + 15)]
    edges = [n.replace(tzinfo=zone).astimezone(now.tzinfo) for n in nights if n.weekday() == _MONDAY]
    statements = [
        Statement(
            ref=f"OM-{account.external_id}-{before.astimezone(zone):%G-W%V}",
            account=account.code,
            currency=account.currency,
            start=before,
            end=after,
            issued_at=after + _ISSUED_AFTER + timedelta(minutes=rng.randrange(600)),
            paid_at=after + _PAYS_AFTER,
        )
        for before, after in pairwise(edges)
    ]
    place(entries, statements)
    for statement in statements:
        _account_entries(rng, statement)
    return statements


def _account_entries(rng: Random, statement: Statement) -> None:
    """Advertising every week, the base fee of 99.90 with the first of a month."""
    book(statement, statement.end - timedelta(hours=9), "ADVERTISING", -rng.randrange(1500, 9000))
    day = statement.start + timedelta(hours=4)
    while day < statement.end:
        if day.astimezone(ZoneInfo(SITES[_SITE].zone)).day == 1:
            book(statement, day, "BASE_FEE", -9990)
        day += timedelta(days=1)


def book(statement: Statement, at: datetime, word: str, net: int) -> Entry:
    """Add one booking of the account itself, with its VAT, to a statement."""
    entry = Entry(
        ref=f"A{statement.ref}-{len(statement.entries)}",
        event="account",
        created_at=at,
        at=at,
        rows=rows("ACCOUNT", word, net, half_up(net * SITES[_SITE].vat_percent, 100)),
        statement=statement.ref,
    )
    statement.entries.append(entry)
    return entry
