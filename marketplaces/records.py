"""The common tongue of all marketplaces: plain frozen records, signed Decimals, aware UTC times, ids as strings.

Signs are as seen by the client: money to us is positive, money from us is negative. Unknown is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum


class MoneyClass(StrEnum):
    """What a normalised line is for the books: every line is exactly one of these."""

    PROFIT = "profit"
    TAX = "tax"
    CASH = "cash"


class FeeKind(StrEnum):
    """What an amount is for, the same words for every marketplace; its sign tells who got it."""

    ITEM_PRICE = "item_price"
    SHIPPING_PRICE = "shipping_price"
    GIFT_WRAP_PRICE = "gift_wrap_price"
    SELLER_DISCOUNT = "seller_discount"
    MARKETPLACE_DISCOUNT = "marketplace_discount"
    SHIPPING_SUBSIDY = "shipping_subsidy"
    REFERRAL_FEE = "referral_fee"
    FIXED_FEE = "fixed_fee"
    FULFILLMENT_FEE = "fulfillment_fee"
    FULFILLMENT_WEIGHT_FEE = "fulfillment_weight_fee"
    REFUND_ADMIN_FEE = "refund_admin_fee"
    RETURN_FEE = "return_fee"
    PAYMENT_FEE = "payment_fee"
    SHIPPING_FEE = "shipping_fee"
    STORAGE_FEE = "storage_fee"
    ADVERTISING = "advertising"
    SUBSCRIPTION_FEE = "subscription_fee"
    PENALTY_FEE = "penalty_fee"
    OTHER_FEE = "other_fee"
    REIMBURSEMENT = "reimbursement"
    GOODWILL = "goodwill"
    ADJUSTMENT = "adjustment"
    UNKNOWN = "unknown"
    UNEXPLAINED = "unexplained"
    ITEM_TAX = "item_tax"
    SHIPPING_TAX = "shipping_tax"
    GIFT_WRAP_TAX = "gift_wrap_tax"
    DISCOUNT_TAX = "discount_tax"
    WITHHELD_TAX = "withheld_tax"
    REFERRAL_FEE_TAX = "referral_fee_tax"
    OTHER_FEE_TAX = "other_fee_tax"
    WITHHOLDING_TAX = "withholding_tax"
    RESERVE = "reserve"
    PAYOUT = "payout"
    TRANSFER = "transfer"
    BALANCE = "balance"

    @property
    def money_class(self) -> MoneyClass:
        """Profit, tax position or cash movement; unknown kinds count as profit until somebody maps them."""
        if self in _TAX:
            return MoneyClass.TAX
        return MoneyClass.CASH if self in _CASH else MoneyClass.PROFIT


_TAX = {
    FeeKind.ITEM_TAX,
    FeeKind.SHIPPING_TAX,
    FeeKind.GIFT_WRAP_TAX,
    FeeKind.DISCOUNT_TAX,
    FeeKind.WITHHELD_TAX,
    FeeKind.REFERRAL_FEE_TAX,
    FeeKind.OTHER_FEE_TAX,
    FeeKind.WITHHOLDING_TAX,
}
_CASH = {FeeKind.RESERVE, FeeKind.PAYOUT, FeeKind.TRANSFER, FeeKind.BALANCE}


class MoneyEvent(StrEnum):
    """Why a line was booked: the sale itself, a refund of it, or something that belongs to the account."""

    SALE = "sale"
    REFUND = "refund"
    ACCOUNT = "account"


class LineStatus(StrEnum):
    """Where an order line stands; the order's own status is derived from its lines."""

    PENDING = "pending"
    TO_ACCEPT = "to_accept"
    TO_SHIP = "to_ship"
    PART_SHIPPED = "part_shipped"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CLOSED = "closed"
    CANCELED = "canceled"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class FulfillmentOwner(StrEnum):
    """Who stores and ships."""

    SELLER = "seller"
    MARKETPLACE = "marketplace"
    SUPPLIER = "supplier"
    UNKNOWN = "unknown"


class ListingStatus(StrEnum):
    """Whether buyers can see and buy the offer."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


class TransactionState(StrEnum):
    """How far money that no settlement names yet has come."""

    DEFERRED = "deferred"
    RELEASED = "released"
    SETTLED = "settled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuyerRecord:
    """Who bought and where it goes; the only record with personal data, stored apart and encrypted."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    company: str | None = None
    street: str | None = None
    street2: str | None = None
    postal_code: str | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRecord:
    """One amount of an order line, as the order itself states it [order's currency], signed."""

    kind: FeeKind
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRecord:
    """Money given back for one order line, as the order source states it; charges are negative."""

    external_id: str
    refunded_at: datetime | None
    quantity: int | None
    charges: tuple[ChargeRecord, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLineRecord:
    """One ordered position."""

    external_id: str
    offer_ref: str | None
    seller_sku: str | None
    product_ref: str | None
    title: str
    quantity: int
    quantity_shipped: int | None
    quantity_canceled: int | None
    status: LineStatus
    raw_status: str
    category: str | None
    charges: tuple[ChargeRecord, ...]
    ship_by: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    refunds: tuple[RefundRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRecord:
    """One order at a marketplace. `total` only where the source states one, in the terms it states it."""

    external_id: str
    site: str
    currency: str
    ordered_at: datetime
    updated_at: datetime
    fulfillment: FulfillmentOwner
    lines: tuple[OrderLineRecord, ...]
    total: Decimal | None = None
    total_kinds: frozenset[FeeKind] = frozenset()
    """Which charge kinds the stated total adds up; empty when `total` is None."""
    is_business: bool = False
    alias: str = ""
    buyer: BuyerRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRecord:
    """One live offer: what the marketplace shows buyers now."""

    offer_ref: str
    site: str
    seller_sku: str | None
    product_ref: str | None
    eans: tuple[str, ...]
    title: str
    status: ListingStatus
    raw_status: str
    fulfillment: FulfillmentOwner
    price: Decimal | None
    currency: str
    quantity: int | None
    category: str | None
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementLineRecord:
    """One money line of a settlement, unmapped: `raw_type` is the provider's own words, joined with '|'."""

    raw_type: str
    amount: Decimal
    currency: str
    posted_at: datetime | None
    ordinal: int
    """Row of the document it stands in, counted from 1 with the header as a spreadsheet does: how a person finds it."""
    line_ref: str | None = None
    """The source's own id of this line; None where the source has none."""
    raw_key: str = ""
    """The normalised raw fields, joined; identity of a line that has no id of its own."""
    order_ref: str | None = None
    order_line_ref: str | None = None
    refund_ref: str | None = None
    seller_sku: str | None = None
    site: str | None = None
    quantity: int | None = None
    description: str = ""
    paid_out: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettlementRecord:
    """One statement of a marketplace: its header and all of its lines.

    `total` is what the header says [currency, to us positive]. `lines` may be read once only, so that a file of
    millions of rows streams through; it raises `Malformed` when the document turns out cut or unreadable. `lines` is
    None where the transaction log delivers them (`TransactionRecord.line`). `complete` is False while it is open.
    """

    settlement_ref: str
    currency: str
    period_start: datetime | None
    period_end: datetime | None
    paid_on: date | None
    total: Decimal | None
    lines: Iterable[SettlementLineRecord] | None
    complete: bool = True
    notes: tuple[str, ...] = ()
    """What a finance person should know about how the document was read (encoding, decimal mark, unknown columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionRecord:
    """Money the marketplace has booked but not settled: deferred until a date, or released and on its way."""

    external_id: str
    state: TransactionState
    order_ref: str | None
    order_line_ref: str | None
    amount: Decimal
    currency: str
    posted_at: datetime
    release_at: datetime | None
    reason: str
    event: MoneyEvent
    settlement_ref: str | None = None
    site: str | None = None
    line: SettlementLineRecord | None = None
    """Set where the source's transaction log is its settlement's lines (Mirakl); None where it only foretells them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRecord:
    """A transfer to the client's bank, as the marketplace announces it; amount positive when it comes to us."""

    external_id: str
    settlement_ref: str | None
    amount: Decimal
    currency: str
    state: str
    """`pending`, `paid` or `failed`."""
    paid_on: date | None
    reference: str = ""
    failure: str = ""


Record = OrderRecord | OfferRecord | SettlementRecord | TransactionRecord | PayoutRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A record that could not be translated: quarantined with its place, while its neighbours go on."""

    path: str
    reason: str
    excerpt: bytes
    external_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something the provider's description does not name: an unknown field, value or type. Counted, never fatal."""

    path: str
    value: str
