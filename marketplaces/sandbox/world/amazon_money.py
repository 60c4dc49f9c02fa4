"""Amazon's books: rows of sales and refunds, weekly settlements with reserves, advertising, storage, subscription."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from .amounts import fulfillment, line_amounts, referral, with_tax
from .model import Entry, Line, Order, Row, Statement
from .places import SITES, Account, half_up

WEEK = timedelta(days=7)
RELEASE = timedelta(days=7)
_OTHER = "other-transaction"


def order_entries(orders: list[Order]) -> Iterator[Entry]:
    """One sale for every delivered line, one refund where money went back."""
    for order in orders:
        for line in order.lines:
            if line.shipped_at is None or line.delivered_at is None:
                continue
            yield Entry(
                ref=f"S{line.ref}",
                event="sale",
                created_at=line.shipped_at,
                at=line.delivered_at + RELEASE,
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


def _rows(kind: str, amounts: list[tuple[str, str, int]]) -> list[Row]:
    return [Row((kind, amount_type, words), cents) for amount_type, words, cents in amounts if cents]


def _sale_rows(order: Order, line: Line) -> list[Row]:
    amounts = line_amounts(order, line)
    withheld = 0 if SITES[order.site].tax_included else -amounts.tax
    return _rows(
        "Order",
        [
            ("ItemPrice", "Principal", amounts.principal),
            ("ItemPrice", "Tax", amounts.tax),
            ("ItemPrice", "Shipping", amounts.shipping),
            ("ItemPrice", "ShippingTax", amounts.shipping_tax),
            ("Promotion", "Principal", -amounts.discount),
            ("Promotion", "TaxDiscount", -amounts.discount_tax),
            ("ItemWithheldTax", "MarketplaceFacilitatorTax-Principal", withheld),
            ("ItemFees", "Commission", -with_tax(order.site, referral(order, line, amounts))),
            ("ItemFees", "FBAPerUnitFulfillmentFee", -with_tax(order.site, fulfillment(order, line))),
        ],
    )


def _refund_rows(order: Order, line: Line, quantity: int) -> list[Row]:
    """The fulfillment fee stays with Amazon, and so does a fifth of the commission, at most 5.00."""
    amounts = line_amounts(order, line, quantity)
    given_back = referral(order, line, amounts)
    kept = min(half_up(given_back, 5), 500)
    withheld = 0 if SITES[order.site].tax_included else amounts.tax
    return _rows(
        "Refund",
        [
            ("ItemPrice", "Principal", -amounts.principal),
            ("ItemPrice", "Tax", -amounts.tax),
            ("Promotion", "Principal", amounts.discount),
            ("Promotion", "TaxDiscount", amounts.discount_tax),
            ("ItemWithheldTax", "MarketplaceFacilitatorTax-Principal", withheld),
            ("ItemFees", "Commission", with_tax(order.site, given_back)),
            ("ItemFees", "RefundCommission", -with_tax(order.site, kept)),
        ],
    )


def make_statements(
    seed: int, account: Account, entries: list[Entry], now: datetime, days: int, ahead: int
) -> list[Statement]:
    """Weekly settlements around now; each entry stands in the one whose period holds its release."""
    rng = Random(f"{seed}:{account.code}:statements")
    hour, minute, second = account.settles_at
    edge = now.replace(hour=hour, minute=minute, second=second) - timedelta(days=account.settled_days_ago)
    edge -= WEEK * ((edge - now + timedelta(days=days)) // WEEK)
    end = now + timedelta(days=ahead)
    statements = []
    number = 21_000_000_000 + rng.randrange(10**8)
    while edge <= end:
        number += rng.randrange(10**6, 10**7)
        statements.append(
            Statement(
                ref=str(number),
                account=account.code,
                currency=account.currency,
                start=edge - WEEK,
                end=edge,
                issued_at=edge + timedelta(days=1, minutes=rng.randrange(240)),
                paid_at=edge + timedelta(days=2),
            )
        )
        edge += WEEK
    _place(entries, statements)
    for statement in statements:
        _account_entries(rng, account, statement)
    return statements


def _place(entries: list[Entry], statements: list[Statement]) -> None:
    first = statements[0].start
    for entry in entries:
        index = (entry.at - first) // WEEK
        if 0 <= index < len(statements):
            entry.statement = statements[index].ref
            statements[index].entries.append(entry)


def _account_entries(rng: Random, account: Account, statement: Statement) -> None:
    """What the account itself costs in this period."""
    sold = sum(e.total for e in statement.entries if e.event == "sale")
    ads = -(sold * rng.randrange(30, 70) // 1000 + rng.randrange(500, 4000))
    book(
        statement,
        statement.end - timedelta(hours=9),
        ("ServiceFee", "Cost of Advertising", "TransactionTotalAmount"),
        ads,
    )
    first = _day_inside(statement, 1)
    if first:
        fee = with_tax(account.sites[0][0], 3900) if account.region == "eu" else 3999
        book(statement, first, (_OTHER, _OTHER, "Subscription Fee"), -fee)
    storage = _day_inside(statement, 12)
    if storage:
        base = rng.randrange(2500, 12000)
        book(statement, storage, ("FBAFees", "FBA Inventory Storage Fee", "Base fee"), -base)
        tax = with_tax(account.sites[0][0], base) - base
        if tax:
            book(statement, storage, ("FBAFees", "FBA Inventory Storage Fee", "Tax on fee"), -tax)


def _day_inside(statement: Statement, day: int) -> datetime | None:
    """Four in the morning of that day of the month, if it lies in the period."""
    for offset in range(8):
        moment = (statement.start + timedelta(days=offset)).replace(hour=4, minute=0, second=0)
        if moment.day == day and statement.start <= moment < statement.end:
            return moment
    return None


def book(statement: Statement, at: datetime, words: tuple[str, ...], cents: int, note: str = "") -> Entry:
    """Add one row of the account to a statement."""
    entry = Entry(
        ref=f"A{statement.ref}-{len(statement.entries)}",
        event="account",
        created_at=at,
        at=at,
        rows=[Row(words, cents)],
        statement=statement.ref,
        note=note,
    )
    statement.entries.append(entry)
    return entry


def add_reserves(statements: list[Statement]) -> None:
    """A tenth of each payout is held back and comes with the next; done last, when all amounts are known."""
    held = 0
    for statement in statements:
        if held:
            at = statement.start + timedelta(minutes=5)
            book(statement, at, (_OTHER, _OTHER, "Previous Reserve Amount Balance"), held)
        held = max(0, statement.rows_total // 10)
        if held:
            at = statement.end - timedelta(minutes=5)
            book(statement, at, (_OTHER, _OTHER, "Current Reserve Amount"), -held)
        statement.entries.sort(key=lambda entry: (entry.at, entry.ref))
