"""What an order record means in our columns: checked, cut to size, summed; nothing here touches the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from domventas.core.money import is_currency, to_cents
from domventas.core.times import day_in
from marketplaces.models import Site
from marketplaces.records import ChargeRecord, FeeKind, LineStatus, MoneyEvent, OrderLineRecord, OrderRecord
from orders.models import OrderException

#: Columns of an order that can differ, behind its key (account, external id).
ORDER_COLUMNS: Final = (
    "site", "alias", "currency", "status", "fulfillment", "is_business", "stated_total", "computed_total", "ordered_at",
    "ordered_on", "source_updated_at", "ship_by",
)  # fmt: skip
#: Columns of a line that can differ, behind its key (order, external id).
LINE_COLUMNS: Final = (
    "sku", "listing", "offer_ref", "seller_sku", "product_ref", "title", "category", "quantity", "quantity_shipped",
    "quantity_canceled", "status", "raw_status", "hold", "ship_by", "shipped_at", "delivered_at",
)  # fmt: skip
REFUND_COLUMNS: Final = ("refunded_at", "quantity", "reason")

ChargeKey = tuple[str, str, str]
"""Event, refund, kind."""
Totals = tuple[Decimal | None, Decimal | None]
"""What the order states, and what its lines add up to."""

#: What the buyer pays; the total we compute where the source states none.
_BUYER_PAYS: Final = frozenset({
    FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX, FeeKind.SHIPPING_PRICE, FeeKind.SHIPPING_TAX, FeeKind.GIFT_WRAP_PRICE,
    FeeKind.GIFT_WRAP_TAX, FeeKind.SELLER_DISCOUNT, FeeKind.MARKETPLACE_DISCOUNT, FeeKind.DISCOUNT_TAX,
})  # fmt: skip
_GONE: Final = {LineStatus.CANCELED, LineStatus.REFUSED}
_PENDING: Final = (LineStatus.PENDING, LineStatus.TO_ACCEPT, LineStatus.TO_SHIP)
_ON_ITS_WAY: Final = (LineStatus.SHIPPED, LineStatus.DELIVERED, LineStatus.CLOSED)
_FINEST: Final = Decimal("0.0001")
_KEEP_BUYER_AFTER_DELIVERY: Final = timedelta(days=30)
_KEEP_BUYER: Final = timedelta(days=180)


def problem(record: OrderRecord, sites: Mapping[str, Site]) -> str:
    """Why the record cannot be stored, in words; empty when it can."""
    if not _is_id(record.external_id):
        return "The order has no id, or one longer than 80 characters."
    if record.site not in sites:
        return f"The site {record.site!r} is not one of this marketplace's."
    if not is_currency(record.currency):
        return f"{record.currency!r} is not a currency code."
    if record.total is not None and not record.total.is_finite():
        return f"The total {record.total} is not an amount."
    ids = [line.external_id for line in record.lines]
    if len(set(ids)) != len(ids):
        return "Two lines have the same id."
    return next(filter(None, map(_line_problem, record.lines)), "")


def _line_problem(line: OrderLineRecord) -> str:
    if not _is_id(line.external_id):
        return "A line has no id, or one longer than 80 characters."
    if line.quantity < 0 or (line.quantity_shipped or 0) < 0 or (line.quantity_canceled or 0) < 0:
        return f"Line {line.external_id} has a negative quantity."
    if len(line.offer_ref or "") > 120 or len(line.seller_sku or "") > 120 or len(line.product_ref or "") > 120:
        return f"Line {line.external_id} names an offer by more than 120 characters."
    for charge in line.charges:
        if not charge.amount.is_finite():
            return f"Line {line.external_id} has a charge that is no amount."
    return _refund_problem(line) if line.refunds else ""


def _refund_problem(line: OrderLineRecord) -> str:
    if min(refund.quantity or 0 for refund in line.refunds) < 0:
        return f"Line {line.external_id} has a negative quantity."
    ids = [refund.external_id for refund in line.refunds]
    if len(set(ids)) != len(ids) or max(map(len, ids)) > 120:
        return f"Line {line.external_id} has two refunds of one id, or an id longer than 120 characters."
    if not all(charge.amount.is_finite() for refund in line.refunds for charge in refund.charges):
        return f"Line {line.external_id} has a charge that is no amount."
    return ""


def order_status(statuses: Collection[LineStatus]) -> LineStatus:
    """The order's status from its lines': the least advanced; partly shipped when some are out and some are not.

    Canceled and refused lines count only when nothing else is left.
    """
    living = {status for status in statuses if status not in _GONE}
    if not living:
        return LineStatus.CANCELED if LineStatus.CANCELED in statuses else next(iter(statuses), LineStatus.UNKNOWN)
    if LineStatus.UNKNOWN in living:
        return LineStatus.UNKNOWN
    waiting = [status for status in _PENDING if status in living]
    away = [status for status in _ON_ITS_WAY if status in living]
    if LineStatus.PART_SHIPPED in living or (waiting and away):
        return LineStatus.PART_SHIPPED
    return (waiting or away)[0]


def totals(record: OrderRecord) -> Totals:
    """(stated, computed) [order's currency]: computed adds up the kinds the stated total is made of.

    Canceled and refused lines are left out, unless the stated total has them in: marketplaces differ. Where the
    source states none, it is what the buyer pays; None when no line has an amount yet.
    """
    kinds = record.total_kinds if record.total is not None else _BUYER_PAYS
    found = [(line, charge.amount) for line in record.lines for charge in line.charges if charge.kind in kinds]
    stated = None if record.total is None else exact(record.total)
    if not found:
        return stated, None
    everything = exact(sum((amount for _line, amount in found), Decimal(0)))
    if stated == everything:
        return stated, everything
    return stated, exact(sum((amount for line, amount in found if line.status not in _GONE), Decimal(0)))


def order_values(record: OrderRecord, site: Site, sums: Totals) -> tuple[Any, ...]:
    """In the order of ORDER_COLUMNS; `sums` from `totals`."""
    stated, computed = sums
    open_lines = [line.ship_by for line in record.lines if line.ship_by and line.status not in _GONE]
    return (
        site.pk,
        text(record.alias, 120),
        record.currency,
        order_status([line.status for line in record.lines]).value,
        record.fulfillment.value,
        record.is_business,
        stated,
        computed,
        record.ordered_at,
        day_in(site.zone, record.ordered_at),
        record.updated_at,
        min(open_lines, default=None),
    )


def offer_of(line: OrderLineRecord) -> str:
    """What the line's offer is called; some id stands for the offer's own where the source tells none."""
    return line.offer_ref or line.seller_sku or line.product_ref or f"line {line.external_id}"


def line_values(
    line: OrderLineRecord, *, sku: int | None, listing: int | None, category: str, hold: str
) -> tuple[Any, ...]:
    """In the order of LINE_COLUMNS."""
    return (
        sku,
        listing,
        offer_of(line),
        line.seller_sku or "",
        line.product_ref or "",
        text(line.title, 500),
        text(line.category or category, 80),
        line.quantity,
        line.quantity_shipped,
        line.quantity_canceled,
        line.status.value,
        text(line.raw_status, 80),
        hold,
        line.ship_by,
        line.shipped_at,
        line.delivered_at,
    )


def charges(line: OrderLineRecord) -> dict[ChargeKey, Decimal]:
    """Amounts of a line and of its refunds; several of one kind (two taxes) add up."""
    found: dict[ChargeKey, Decimal] = {}
    _add(found, MoneyEvent.SALE.value, "", line.charges)
    for refund in line.refunds:
        _add(found, MoneyEvent.REFUND.value, refund.external_id, refund.charges)
    return {key: exact(amount) for key, amount in found.items()}


def refunds(line: OrderLineRecord) -> dict[str, tuple[Any, ...]]:
    """Refunds of a line by their id, values in the order of REFUND_COLUMNS."""
    return {x.external_id: (x.refunded_at, x.quantity, text(x.reason, 200)) for x in line.refunds}


def oddities(record: OrderRecord, sums: Totals) -> dict[str, str]:
    """What a person should see about a readable order: code → detail; `sums` from `totals`."""
    found: dict[str, str] = {}
    codes = OrderException.Code
    stated, computed = sums
    if stated is not None and stated != (computed or Decimal(0)):
        shown = [
            f"{to_cents(amount, record.currency)} {record.currency}" for amount in (stated, computed or Decimal(0))
        ]
        found[codes.TOTAL_MISMATCH.value] = "{} stated, {} in its lines".format(*shown)
    unknown = [line.raw_status or "?" for line in record.lines if line.status is LineStatus.UNKNOWN]
    if unknown or not record.lines:
        found[codes.UNKNOWN_STATUS.value] = text(", ".join(sorted(set(unknown))) or "no lines", 300)
    free = [line.external_id for line in record.lines if _is_free(line)]
    if free:
        found[codes.PRICE_ZERO.value] = text("line " + ", ".join(free), 300)
    return found


def purge_at(record: OrderRecord) -> datetime:
    """When the buyer's data has to vanish: 30 days after the last delivery, at the latest 180 days after the order.

    Where a delivery is not told, what was shipped counts as delivered on that day, and a canceled order as over when
    it last changed: rather too early than too late.
    """
    latest = record.ordered_at + _KEEP_BUYER
    living = [line for line in record.lines if line.status not in _GONE]
    if record.lines and not living:
        return min(record.updated_at + _KEEP_BUYER_AFTER_DELIVERY, latest)
    over = [line.delivered_at or line.shipped_at for line in living]
    known = [moment for moment in over if moment is not None]
    if known and len(known) == len(living):
        return min(max(known) + _KEEP_BUYER_AFTER_DELIVERY, latest)
    return latest


def text(value: str, limit: int) -> str:
    """Display text as a column takes it: PostgreSQL has no NUL, and a long title is cut."""
    if len(value) <= limit and "\x00" not in value:
        return value
    return value.replace("\x00", "")[:limit]


def exact(amount: Decimal) -> Decimal:
    """As amounts are stored: four digits after the point, half-up."""
    return amount.quantize(_FINEST, rounding=ROUND_HALF_UP)


def _add(found: dict[ChargeKey, Decimal], event: str, refund: str, parts: Iterable[ChargeRecord]) -> None:
    for charge in parts:
        key = event, refund, charge.kind._value_
        found[key] = found[key] + charge.amount if key in found else charge.amount


def _is_free(line: OrderLineRecord) -> bool:
    """Whether something that is not canceled costs nothing; a price nobody states yet is no zero."""
    if line.status in _GONE or line.status is LineStatus.PENDING or not line.quantity:
        return False
    prices = [charge.amount for charge in line.charges if charge.kind is FeeKind.ITEM_PRICE]
    return bool(prices) and not sum(prices)


def _is_id(value: str) -> bool:
    return bool(value) and len(value) <= 80 and "\x00" not in value
