"""Things of the world: products, orders with their life, money entries and the statements that pay them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(slots=True, kw_only=True)
class Product:
    """One article; `mapped` is False for offers nobody entered into the product master."""

    sku: str
    ean: str
    asin: str
    brand: str
    title: str
    category: str
    weight_g: int
    cost_cents: int
    cost_currency: str
    warehouse: str
    is_fba: bool
    mapped: bool
    offer_id: int
    prices: dict[str, int]
    """Site code → unit price in cents as the buyer sees it (US: before tax)."""


class Buyer(NamedTuple):
    """An invented person and address."""

    name: str
    email: str
    phone: str
    street: str
    postal_code: str
    city: str
    region: str
    country: str


@dataclass(slots=True, kw_only=True)
class Refund:
    """Money given back for part of a line, some weeks after delivery."""

    ref: str
    at: datetime
    quantity: int


@dataclass(slots=True, kw_only=True)
class Line:
    """One article of an order. Amounts are cents of the whole line as the buyer sees them."""

    ref: str
    product: Product
    quantity: int
    unit_cents: int
    shipping_cents: int = 0
    discount_cents: int = 0
    package: int = 0
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None
    refund: Refund | None = None
    sent: int = 0
    """Pieces the seller told us have left; 0 while the line lives as the world planned."""

    @property
    def price_cents(self) -> int:
        """Unit price times quantity."""
        return self.unit_cents * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A parcel the seller told us of: pieces by line."""

    ref: str
    carrier: str
    tracking: str
    shipped_at: datetime
    items: dict[str, int]


@dataclass(slots=True, kw_only=True)
class Order:
    """One order with everything that will ever happen to it; the clock decides how much is known."""

    ref: str
    account: str
    site: str
    created_at: datetime
    confirmed_at: datetime
    fulfilled_by: str
    buyer: Buyer
    lines: list[Line]
    cancelled_at: datetime | None = None
    refused: bool = False
    closed_at: datetime | None = None
    changes: tuple[datetime, ...] = ()
    packages: list[Package] = field(default_factory=list)
    tracking: dict[str, str] = field(default_factory=dict)

    def updated_at(self, clock: datetime) -> datetime | None:
        """The last change up to the clock; None while the order does not exist yet."""
        index = bisect_right(self.changes, clock)
        return self.changes[index - 1] if index else None

    def note_changes(self) -> None:
        """Collect the moments at which the order looks different to a reader."""
        moments = [self.created_at]
        if self.cancelled_at is None:
            moments.append(self.confirmed_at)
        else:
            moments.append(self.cancelled_at)
            if self.confirmed_at < self.cancelled_at:
                moments.append(self.confirmed_at)
        for line in self.lines:
            moments += [t for t in (line.shipped_at, line.delivered_at, line.cancelled_at) if t]
            if line.refund:
                moments.append(line.refund.at)
        if self.closed_at:
            moments.append(self.closed_at)
        self.changes = tuple(sorted(set(moments)))


class Row(NamedTuple):
    """One booked amount: the marketplace's own words for it and signed cents (to the seller positive)."""

    words: tuple[str, ...]
    cents: int


@dataclass(slots=True, kw_only=True)
class Entry:
    """All rows one event books: a sold line, a refund of it, or something of the account.

    Attributes:
        event: `sale`, `refund` or `account`.
        created_at: when the marketplace first knows of the money. at: when it is released for payment.
        statement: reference of the settlement or billing cycle that holds it; empty while none does.
    """

    ref: str
    event: str
    created_at: datetime
    at: datetime
    rows: list[Row]
    order: Order | None = None
    line: Line | None = None
    refund: Refund | None = None
    statement: str = ""
    note: str = ""
    absent: bool = False

    @property
    def total(self) -> int:
        """Cents of all rows together."""
        return sum(row.cents for row in self.rows)


@dataclass(slots=True, kw_only=True)
class Statement:
    """One settlement (Amazon) or billing cycle (Mirakl) over [start, end).

    Attributes:
        issued_at: when the seller can first see it. paid_at: when the transfer arrives.
        header_delta: cents by which the stated total differs from the rows; 0 when honest.
        is_withheld: it exists, but its file (or its lines) never come.
        corrected_at: when it was issued again with one row changed by `correction` cents; None when never.
    """

    ref: str
    account: str
    currency: str
    start: datetime
    end: datetime
    issued_at: datetime
    paid_at: datetime
    entries: list[Entry] = field(default_factory=list)
    header_delta: int = 0
    is_withheld: bool = False
    corrected_at: datetime | None = None
    correction: int = 0

    @property
    def rows_total(self) -> int:
        """Cents of all rows together."""
        return sum(entry.total for entry in self.entries)

    @property
    def total(self) -> int:
        """Cents as its header states them."""
        return self.rows_total + self.header_delta


@dataclass(slots=True, kw_only=True)
class World:
    """Everything there is, past and coming."""

    seed: int
    now: datetime
    days: int
    skus: int
    order_count: int
    faults: str
    products: list[Product]
    orders: dict[str, list[Order]]
    """Account code → its orders by creation time."""
    entries: dict[str, list[Entry]]
    statements: dict[str, list[Statement]]
    truth: list[dict[str, Any]]
