"""Held order lines by the offer they wait for: where one mapping frees many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, IntegerField, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from catalog.models import UnmappedItem
from marketplaces.records import FeeKind, FulfillmentOwner
from orders.models import Order, OrderCharge
from orders.selectors.stuck import NOT_GONE, Urgency, held_lines, rank

_GROUP = ("account_id", "account_name", "account_code", "offer_ref", "site", "currency")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOffer:
    """One offer at one site in one currency, with the orders that wait for it.

    Attributes:
        orders, lines: how many wait; `late`, `soon` and `ahead` of the orders have still to ship.
        value: price with tax of the held lines [currency]; None where no line states one.
        ship_by: the first moment an order that waits for it has to leave.
        item: what mapping it means; None where it has gone from the queue.
    """

    account: str
    account_code: str
    site: str
    offer_ref: str
    seller_sku: str
    title: str
    currency: str
    orders: int
    lines: int
    late: int
    soon: int
    ahead: int
    value: Decimal | None
    ship_by: datetime | None
    item: UnmappedItem | None

    @property
    def to_ship(self) -> int:
        """Orders that cannot leave before it is mapped."""
        return self.late + self.soon + self.ahead

    @property
    def books(self) -> int:
        """Orders of which nothing has to leave any more."""
        return self.orders - self.to_ship


def offers(orders: QuerySet[Order]) -> int:
    """For how many offers of accounts these orders wait: so many mappings free them; `by_offer` has a row per site."""
    lines = held_lines().filter(order__in=orders.order_by().values("pk"))
    return lines.order_by().values("account_id", "offer_ref").distinct().count()


def by_offer(orders: QuerySet[Order], *, now: datetime) -> QuerySet[Any, dict[str, Any]]:
    """Groups of held lines of these orders, the most urgent first, then by how many wait; `described` tells of them."""
    price = OrderCharge.objects.filter(
        line=OuterRef("pk"), event="sale", kind__in=(FeeKind.ITEM_PRICE, FeeKind.ITEM_TAX)
    )
    worth = price.order_by().values("line").annotate(sum=Sum("amount")).values("sum")
    lines = held_lines().filter(order__in=orders.order_by().values("pk"))
    lines = lines.annotate(
        account_name=F("order__account__name"), account_code=F("order__account__code"), site=F("order__site__code"),
        currency=F("order__currency"), rank=rank(now, "order__"), worth=Subquery(worth),
    )  # fmt: skip
    leaves = Q(rank__lt=Urgency.values.index(Urgency.BOOKS))
    counted = {
        f"{name}_count": Count("order", distinct=True, filter=Q(rank=place))
        for place, name in enumerate(Urgency.values)
    }
    groups = lines.order_by().values(*_GROUP).annotate(
        order_count=Count("order", distinct=True), line_count=Count("pk"), sum=Sum("worth"),
        first=Min("order__ship_by", filter=leaves), urgent=Min("rank"), a_sku=Max("seller_sku"),
        a_title=Max("title"), **counted,
    )  # fmt: skip
    return groups.order_by("urgent", F("first").asc(nulls_last=True), "-order_count", "offer_ref", "site", "currency")


def described(groups: Iterable[dict[str, Any]]) -> list[HeldOffer]:
    """The groups of one page, each with its place in the queue of unmapped items; one query."""
    rows = list(groups)
    items = UnmappedItem.objects.select_related("candidate").filter(
        account__in={row["account_id"] for row in rows}, offer_ref__in={row["offer_ref"] for row in rows}
    )
    by_offer_ref = {(item.account_id, item.offer_ref): item for item in items}
    return [
        HeldOffer(
            account=row["account_name"], account_code=row["account_code"], site=row["site"],
            offer_ref=row["offer_ref"], seller_sku=row["a_sku"], title=row["a_title"], currency=row["currency"],
            orders=row["order_count"], lines=row["line_count"], late=row["late_count"], soon=row["soon_count"],
            ahead=row["ahead_count"], value=row["sum"], ship_by=row["first"],
            item=by_offer_ref.get((row["account_id"], row["offer_ref"])),
        )
        for row in rows
    ]  # fmt: skip


def waiting(*, to_leave: bool = False) -> Coalesce:
    """For a query of unmapped items: how many orders wait for each; only those that have still `to_leave`, if so."""
    lines = held_lines().filter(account_id=OuterRef("account_id"), offer_ref=OuterRef("offer_ref"))
    if to_leave:
        lines = lines.filter(order__status__in=NOT_GONE).exclude(order__fulfillment=FulfillmentOwner.MARKETPLACE)
    counts = lines.order_by().values("offer_ref").annotate(count=Count("order", distinct=True)).values("count")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)
