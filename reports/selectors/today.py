"""What the Today page asks: yesterday per account, what the machine did, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Q, Sum

from catalog.models import UnmappedItem
from domventas.core.tenancy import current
from finance.models import Discrepancy, Settlement
from marketplaces.models import Account, Quarantined, SyncWindow
from tickets.models import DetectorRun, Ticket

TREND_DAYS = 14

# Gross sales: what buyers pay for what they ordered, tax and shipping included, less discounts; not what was canceled.
BY_DAY = """
SELECT o.account_id, o.currency, o.ordered_on, count(DISTINCT o.id), sum(l.quantity), sum(l.sales)
FROM orders_order o
CROSS JOIN LATERAL (
    SELECT sum(li.quantity - coalesce(li.quantity_canceled, 0)) AS quantity,
           sum((SELECT sum(c.amount) FROM orders_ordercharge c
                WHERE c.client_id = o.client_id AND c.line_id = li.id AND c.event = 'sale'
                  AND c.kind = ANY(%(kinds)s))) AS sales
    FROM orders_orderline li
    WHERE li.client_id = o.client_id AND li.order_id = o.id AND li.status NOT IN ('canceled', 'refused')
) l
WHERE o.client_id = %(client)s AND o.ordered_on BETWEEN %(since)s AND %(until)s
GROUP BY o.account_id, o.currency, o.ordered_on
"""
SALES_KINDS = [
    "item_price", "item_tax", "shipping_price", "shipping_tax", "gift_wrap_price", "gift_wrap_tax",
    "seller_discount", "discount_tax",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDay:
    """One account's day: orders, units and gross sales [currency], beside the same weekday a week before."""

    account: str
    account_code: str
    currency: str
    orders: int
    units: int
    sales: Decimal
    sales_before: Decimal | None
    trend: tuple[Decimal, ...]
    month_sales: Decimal
    is_complete: bool

    @property
    def change(self) -> Decimal | None:
        """Share by which sales differ from the week before; None when one of the days is incomplete or was empty."""
        if not self.is_complete or not self.sales_before:
            return None
        return (self.sales - self.sales_before) / self.sales_before


def yesterday(*, day: date, complete: dict[int, datetime | None]) -> list[AccountDay]:
    """Each account's day with its trend; `complete` says up to when each account's orders were read."""
    since = min(day - timedelta(days=TREND_DAYS), day.replace(day=1))
    rows: dict[tuple[int, str], dict[date, tuple[int, int, Decimal]]] = {}
    with connection.cursor() as cursor:
        known: dict[str, Any] = {"client": current().one, "since": since, "until": day, "kinds": SALES_KINDS}
        cursor.execute(BY_DAY, known)
        for account_id, currency, on, orders, units, sales in cursor.fetchall():
            rows.setdefault((account_id, currency), {})[on] = (orders, int(units or 0), sales or Decimal(0))
    accounts = {account.pk: account for account in Account.objects.all()}
    nothing = (0, 0, Decimal(0))
    found = []
    for (account_id, currency), days in sorted(rows.items(), key=lambda item: accounts[item[0][0]].name):
        orders, units, sales = days.get(day, nothing)
        before = days.get(day - timedelta(days=7))
        read = complete.get(account_id)
        found.append(
            AccountDay(
                account=accounts[account_id].name,
                account_code=accounts[account_id].code,
                currency=currency,
                orders=orders,
                units=units,
                sales=sales,
                sales_before=before[2] if before else None,
                trend=tuple(days.get(day - timedelta(days=ago), nothing)[2] for ago in range(TREND_DAYS - 1, -1, -1)),
                month_sales=sum((v[2] for on, v in days.items() if on >= day.replace(day=1)), Decimal(0)),
                is_complete=read is not None and read.date() > day,
            )
        )
    return found


def overnight(*, since: datetime) -> dict[str, dict[str, int]]:
    """What ran since a moment: syncs, settlements, tickets; counts only, each with what failed."""
    syncs = SyncWindow.objects.filter(started_at__gte=since).aggregate(
        count=Count("pk"), records=Sum("records"), failed=Count("pk", filter=Q(status=SyncWindow.Status.FAILED))
    )
    settlements = Settlement.objects.filter(loaded_at__gte=since).aggregate(
        count=Count("pk"), lines=Sum("line_count"), failed=Count("pk", filter=Q(status="inconsistent"))
    )
    runs = DetectorRun.objects.filter(started_at__gte=since).aggregate(
        count=Count("pk"), opened=Sum("opened"), resolved=Sum("resolved")
    )
    return {
        "syncs": {key: value or 0 for key, value in syncs.items()},
        "settlements": {key: value or 0 for key, value in settlements.items()},
        "detectors": {key: value or 0 for key, value in runs.items()},
    }


def conflicts() -> dict[str, int]:
    """What stands in the way now, counted; the page links each to its list. Stuck orders count themselves."""
    return {
        "unmapped": UnmappedItem.objects.filter(state=UnmappedItem.State.OPEN).count(),
        "quarantined": Quarantined.objects.filter(resolved_at=None).count(),
        "inconsistent": Settlement.objects.filter(status=Settlement.Status.INCONSISTENT).count(),
        "discrepancies": Discrepancy.objects.filter(state=Discrepancy.State.OPEN).count(),
        "urgent": Ticket.objects.filter(severity="S1").exclude(state=Ticket.State.RESOLVED).count(),
    }
