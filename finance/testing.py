"""Making settlements, transactions, orders and rules for tests, in the marketplaces' own terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from catalog.models import Brand, Product, Sku
from marketplaces.models import Account, AccountSite, Site
from marketplaces.records import (
    MoneyEvent,
    SettlementLineRecord,
    SettlementRecord,
    TransactionRecord,
    TransactionState,
)
from orders.models import Order, OrderLine

NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
SALE = "order|itemprice|principal"
COMMISSION = "order|itemfees|commission"


def site(code: str = "amazon.de") -> Site:
    """A marketplace site as its connector ships it."""
    rows = {
        "amazon.de": ("amazon", "Amazon.de", "DE", "EUR", "Europe/Berlin", "A1PA6795UKMFR9"),
        "amazon.fr": ("amazon", "Amazon.fr", "FR", "EUR", "Europe/Paris", "A13V1IB3VIYZZH"),
        "amazon.com": ("amazon", "Amazon.com", "US", "USD", "America/Los_Angeles", "ATVPDKIKX0DER"),
        "amazon.co.jp": ("amazon", "Amazon.co.jp", "JP", "JPY", "Asia/Tokyo", "A1VC38T7YXB528"),
        "bunnings.com.au": ("bunnings", "Bunnings", "AU", "AUD", "Australia/Melbourne", "bunnings"),
        "otto.de": ("otto", "Otto.de", "DE", "EUR", "Europe/Berlin", "OTTO"),
    }
    channel, label, country, currency, zone, external_id = rows[code]
    return Site.objects.get_or_create(
        code=code,
        defaults={
            "channel": channel,
            "label": label,
            "country": country,
            "currency": currency,
            "zone": zone,
            "external_id": external_id,
        },
    )[0]


def account(code: str = "amazon-eu", *, sites: Sequence[str] = ("amazon.de", "amazon.fr")) -> Account:
    """An account of the acting client on some sites, without its marketplace's rules."""
    made = [site(each) for each in sites]
    row = Account.objects.create(code=code, name=code, channel=made[0].channel, external_id=code)
    AccountSite.objects.bulk_create(AccountSite(account=row, site=each) for each in made)
    return row


def order(
    of: Account,
    external_id: str,
    *,
    lines: Iterable[tuple[str, str]] = (("L1", "SKU-1"),),
    at: str = "amazon.de",
    on: date = date(2026, 10, 5),
) -> Order:
    """A shipped order; lines are (line id, seller SKU)."""
    where = site(at)
    moment = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    row = Order.objects.create(
        account=of,
        site=where,
        external_id=external_id,
        currency=where.currency,
        status="shipped",
        fulfillment="marketplace",
        ordered_at=moment,
        ordered_on=on,
        source_updated_at=moment,
    )
    OrderLine.objects.bulk_create(
        OrderLine(
            order=row,
            account_id=of.pk,
            external_id=line,
            seller_sku=sku,
            quantity=1,
            quantity_shipped=1,
            status="shipped",
            changed_at=moment,
        )
        for line, sku in lines
    )
    return row


def sku(code: str = "ALB-1", *, brand: str = "alba", weight_g: int = 400) -> Sku:
    """A SKU of a brand."""
    owner = Brand.objects.get_or_create(code=brand, defaults={"name": brand.title()})[0]
    product = Product.objects.get_or_create(code=code, defaults={"title": code, "brand": owner})[0]
    return Sku.objects.create(product=product, code=code, name=code, weight_g=weight_g)


def line(
    amount: str,
    raw_type: str = SALE,
    *,
    row: int = 1,
    ref: str | None = None,
    order_ref: str | None = None,
    order_line_ref: str | None = None,
    sku: str | None = None,
    at: str | None = "Amazon.de",
    currency: str = "EUR",
    refund_ref: str | None = None,
    posted_at: datetime | None = datetime(2026, 10, 20, 9, tzinfo=UTC),
) -> SettlementLineRecord:
    """A settlement line; without `ref` it is known by its content."""
    raw_key = "|".join(str(part) for part in (raw_type, Decimal(amount), order_ref, order_line_ref, sku, refund_ref))
    return SettlementLineRecord(
        raw_type=raw_type,
        amount=Decimal(amount),
        currency=currency,
        posted_at=posted_at,
        ordinal=row,
        line_ref=ref,
        raw_key=raw_key,
        order_ref=order_ref,
        order_line_ref=order_line_ref,
        refund_ref=refund_ref,
        seller_sku=sku,
        site=at,
        quantity=1,
    )


def settlement(
    lines: Iterable[SettlementLineRecord] | None,
    total: str | None,
    *,
    ref: str = "S1",
    currency: str = "EUR",
    complete: bool = True,
) -> SettlementRecord:
    """A statement of the week from 19 to 26 October 2026, paid two days later."""
    return SettlementRecord(
        settlement_ref=ref,
        currency=currency,
        period_start=datetime(2026, 10, 19, tzinfo=UTC),
        period_end=datetime(2026, 10, 26, tzinfo=UTC),
        paid_on=date(2026, 10, 28),
        total=None if total is None else Decimal(total),
        lines=None if lines is None else iter(lines),
        complete=complete,
    )


def logged(
    external_id: str,
    amount: str,
    raw_type: str = "order_amount",
    *,
    ref: str | None = "C1",
    order_ref: str | None = None,
    order_line_ref: str | None = None,
    posted_at: datetime = datetime(2026, 10, 20, 9, tzinfo=UTC),
) -> TransactionRecord:
    """A transaction that is a settlement's line, in AUD."""
    return TransactionRecord(
        external_id=external_id,
        state=TransactionState.SETTLED if ref else TransactionState.DEFERRED,
        order_ref=order_ref,
        order_line_ref=order_line_ref,
        amount=Decimal(amount),
        currency="AUD",
        posted_at=posted_at,
        release_at=None,
        reason="",
        event=MoneyEvent.SALE,
        settlement_ref=ref,
        line=SettlementLineRecord(
            raw_type=raw_type,
            amount=Decimal(amount),
            currency="AUD",
            posted_at=posted_at,
            ordinal=1,
            line_ref=external_id,
            order_ref=order_ref,
            order_line_ref=order_line_ref,
        ),
    )
