"""Orders, rules and statement lines for reconciliation tests, in a few words each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.postgres.fields.ranges import DateRange
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import NumericRange

from catalog.models import Sku
from finance.models import (
    ExpectedCharge,
    FeeRule,
    LineReconciliation,
    PaymentTerm,
    RefundRule,
    Settlement,
    SettlementLine,
    Tolerance,
)
from finance.services.reconcile import reconcile
from finance.testing import site as make_site
from finance.testing import sku as make_sku
from marketplaces.models import Account
from marketplaces.records import FeeKind
from orders.models import Order, OrderCharge, OrderLine, OrderRefund

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
SOLD = date(2026, 9, 10)
ALWAYS = DateRange(date(2025, 1, 1), None)
ANY_BAND = NumericRange(None, None)
#: What VAT stands on a marketplace's fees, and whether inside the fee's line.
FEE_TAX = {
    "amazon.de": ("0.19", True), "amazon.fr": ("0.20", True), "amazon.com": ("0", False),
    "bunnings.com.au": ("0.10", False), "amazon.co.jp": ("0", False),
}  # fmt: skip


def dec(amount: str) -> Decimal:
    """Short for a test full of amounts."""
    return Decimal(amount)


def fee_rule(at: str, kind: str = "referral_fee", **more: Any) -> FeeRule:
    """A fee rule valid from 2025 on for a site; a share of the gross price unless told otherwise."""
    rate, inside = FEE_TAX[at]
    values: dict[str, Any] = {
        "category": "", "fulfillment": "", "price_band": ANY_BAND, "weight_band": ANY_BAND, "basis": "gross_incl_tax",
        "rate": dec("0"), "currency": make_site(at).currency, "fee_tax_rate": dec(rate), "is_tax_in_line": inside,
        "valid": ALWAYS, "source": "test",
    }  # fmt: skip
    return FeeRule.objects.create(site=at, kind=kind, **{**values, **more})


def rules(at: str) -> None:
    """The rules of one site as its schedule states them, for the categories these tests use."""
    basis = "net_ex_tax" if at == "amazon.com" else "gross_incl_tax"
    rates = {
        "amazon.de": {"home_kitchen": "0.15", "lighting": "0.12"},
        "amazon.fr": {"home_kitchen": "0.15"},
        "amazon.com": {"home_kitchen": "0.15", "tools": "0.12"},
        "bunnings.com.au": {"tools": "0.12", "home_kitchen": "0.14", "lighting": "0.125"},
    }[at]
    least = dec("0") if at == "bunnings.com.au" else dec("0.30")
    for category, rate in rates.items():
        fee_rule(at, category=category, rate=dec(rate), min_amount=least, basis=basis)
    currency = make_site(at).currency
    tax, _inside = FEE_TAX[at]
    RefundRule.objects.create(
        site=at, kind="referral_fee", share_returned=1, currency=currency, fee_tax_rate=dec(tax), valid=ALWAYS,
        source="test", **({} if at == "bunnings.com.au" else {
            "retained_kind": "refund_admin_fee", "retained_rate": dec("0.20"), "retained_cap": dec("5")}),
    )  # fmt: skip
    if at != "bunnings.com.au":
        bands = {
            "amazon.de": ((0, 251, "2.81"), (251, 501, "3.25"), (501, 1001, "4.05")),
            "amazon.fr": ((251, 501, "3.93"),),
            "amazon.com": ((251, 501, "3.77"),),
        }[at]
        for low, high, amount in bands:
            fee_rule(
                at, "fulfillment_fee", fulfillment="marketplace", basis="unit", fixed_amount=dec(amount),
                weight_band=NumericRange(low, high),
            )  # fmt: skip
        RefundRule.objects.create(
            site=at, kind="fulfillment_fee", share_returned=0, currency=currency, valid=ALWAYS, source="test"
        )
    Tolerance.objects.create(site=at, currency=currency, absolute_amount=dec("0.02"), valid=ALWAYS, source="test")
    cycle = {"release_days": 0, "cycle_days": 4} if at == "bunnings.com.au" else {"release_days": 7, "cycle_days": 7}
    PaymentTerm.objects.create(
        site=at, basis="delivered", grace_days=5, transit_days=7, valid=ALWAYS, source="test", **cycle
    )


def article(code: str = "ALB-1", *, category: str = "home_kitchen", weight_g: int | None = 400) -> Sku:
    """A SKU whose product has a category."""
    found = Sku.objects.filter(code=code).first()
    if found:
        return found
    made = make_sku(code)
    made.product.category = category
    made.product.save()
    Sku.objects.filter(pk=made.pk).update(weight_g=weight_g)
    return made


def sold(
    of: Account,
    ref: str,
    charges: Mapping[str, str],
    *,
    at: str = "amazon.de",
    on: date = SOLD,
    sku: Sku | None = None,
    quantity: int = 1,
    shipped: int | None = None,
    fulfillment: str = "marketplace",
    status: str = "shipped",
    delivered: bool = True,
) -> OrderLine:
    """An order of one line, shipped the day after and delivered two days later."""
    where = make_site(at)
    moment = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    order = Order.objects.create(
        account=of, site=where, external_id=ref, currency=where.currency, status=status, fulfillment=fulfillment,
        ordered_at=moment, ordered_on=on, source_updated_at=moment,
    )  # fmt: skip
    line = OrderLine.objects.create(
        order=order, account_id=of.pk, external_id=f"{ref}-1", sku=sku, seller_sku=sku.code if sku else "X",
        quantity=quantity, quantity_shipped=quantity if shipped is None else shipped, status=status,
        shipped_at=moment + timedelta(days=1), delivered_at=moment + timedelta(days=3) if delivered else None,
        changed_at=moment,
    )  # fmt: skip
    OrderCharge.objects.bulk_create(
        OrderCharge(line=line, kind=kind, amount=dec(amount), currency=where.currency)
        for kind, amount in charges.items()
    )
    return line


def refunded(line: OrderLine, charges: Mapping[str, str], *, ref: str = "R1", on: date = date(2026, 10, 1)) -> None:
    """The order source states a refund."""
    moment = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    OrderRefund.objects.create(line=line, external_id=ref, refunded_at=moment, quantity=1)
    OrderCharge.objects.bulk_create(
        OrderCharge(
            line=line, event="refund", refund_ref=ref, kind=kind, amount=dec(amount), currency=line.order.currency
        )
        for kind, amount in charges.items()
    )


def settled(
    of: Account,
    rows: Sequence[tuple[OrderLine | None, str, str, str]],
    *,
    ref: str = "S1",
    total: str | None = None,
    start: date = date(2026, 9, 14),
    order_ref: str = "",
) -> Settlement:
    """A statement of four weeks; rows are (order line, event, kind, amount)."""
    currency = rows[0][0].order.currency if rows and rows[0][0] else "EUR"
    added = sum((dec(row[3]) for row in rows), Decimal(0))
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    head = Settlement.objects.create(
        account=of, settlement_ref=ref, status="loaded", currency=currency, period_start=begin,
        period_end=begin + timedelta(days=28), header_total=dec(total) if total else added, lines_total=added,
        line_count=len(rows), loaded_at=NOW, paid_on=start + timedelta(days=30),
    )  # fmt: skip
    if head.header_total != added:
        rows = [*rows, (None, "account", "unexplained", str(head.header_total - added))]
    SettlementLine.objects.bulk_create(
        SettlementLine(
            settlement=head, account_id=of.pk, settlement_ref=ref, line_key=f"{ref}#{n}", ordinal=n,
            raw_type=f"{event}|{kind}", event=event, kind=kind, money_class=FeeKind(kind).money_class.value,
            amount=dec(amount), net_amount=dec(amount), currency=currency, posted_at=begin + timedelta(days=10),
            order_ref=line.order.external_id if line else order_ref, order_line=line,
            seller_sku=line.seller_sku if line else "", site=line.order.site.code if line else "",
            state="discrepancy" if kind == "unexplained" else "new",
            cause="header_mismatch" if kind == "unexplained" else "",
        )
        for n, (line, event, kind, amount) in enumerate(rows, 1)
    )  # fmt: skip
    return head


def expectations(line: OrderLine, event: str = "sale") -> dict[str, Decimal | None]:
    """What we expect for a line by kind."""
    return dict(ExpectedCharge.objects.filter(line=line, event=event).values_list("kind", "amount"))


def verdicts(line: OrderLine, event: str = "sale") -> dict[str, str]:
    """Verdict by kind, with its cause."""
    rows = LineReconciliation.objects.filter(line=line, event=event).values_list("kind", "verdict", "cause")
    return {kind: f"{verdict}:{cause}" if cause else verdict for kind, verdict, cause in rows}


def tuples_written() -> int:
    """Rows inserted, updated and deleted by this transaction in finance's tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_xact_user_tables"
            " WHERE relname LIKE 'finance\\_%'"
        )
        return int(cursor.fetchone()[0])


def what_a_full_run_changes(stored: Callable[[], set[Any]], now: datetime) -> list[str]:
    """Everything a full run would store otherwise, of what `stored` tells; it is undone."""
    before = stored()
    with transaction.atomic():
        done = reconcile(now=now, full=True)
        after = stored()
        transaction.set_rollback(True)
    return sorted(map(str, before ^ after)) or [str(done)] * bool(done.written)
