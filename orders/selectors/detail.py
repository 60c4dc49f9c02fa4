"""Everything on one order's page."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Prefetch

from domventas.core.crypto import Unreadable
from orders.models import BuyerContact, Order, OrderCharge, OrderEvent, OrderException, OrderLine


@dataclass(frozen=True, slots=True)
class Detail:
    """One order with its lines (each with `charges` and `refunds` at hand), oddities and events, the newest first.

    `buyer` is masked; `contact_id` is the row that holds the buyer's data, None once nothing is kept.
    """

    order: Order
    lines: list[OrderLine]
    exceptions: list[OrderException]
    events: list[OrderEvent]
    buyer: str
    contact_id: int | None


def order(pk: int) -> Detail:
    """One order in seven queries. Raises: Order.DoesNotExist: not there, or not to be seen."""
    found = Order.objects.select_related("account", "site").get(pk=pk)
    lines = OrderLine.objects.filter(order=found).select_related("sku", "listing").order_by("external_id")
    charges = Prefetch("charges", OrderCharge.objects.order_by("event", "refund_ref", "kind"))
    lines = lines.prefetch_related(charges, "refunds")
    buyer = BuyerContact.objects.filter(order=found).first()
    return Detail(
        order=found,
        lines=list(lines),
        exceptions=list(OrderException.objects.filter(order=found).order_by("code")),
        events=list(OrderEvent.objects.filter(order=found).order_by("-at", "-pk")),
        buyer=masked(buyer) if buyer else "–",
        contact_id=buyer.pk if buyer and buyer.purged_at is None else None,
    )


def masked_buyer(order: Order) -> str:
    """The buyer of an order, masked; a dash when nothing is known."""
    found = BuyerContact.objects.filter(order=order).first()
    return masked(found) if found else "–"


def masked(contact_row: BuyerContact) -> str:
    """Initials, town and country: "M. M., Hamburg, DE"; the country alone once the rest was purged."""
    data = contact(contact_row)
    initials = " ".join(f"{word[0]}." for word in data.get("name", "").split())
    return ", ".join(filter(None, [initials, data.get("city", ""), contact_row.country])) or "–"


def contact(contact_row: BuyerContact) -> dict[str, str]:
    """What is stored of a buyer, by field; empty once purged, or when the key is gone."""
    try:
        return contact_row.contact or {}
    except Unreadable:
        return {}
