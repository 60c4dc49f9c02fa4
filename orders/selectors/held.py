"""What waits for offers that nobody has mapped yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Count, Q, Sum

from domventas.core.fields import amount
from orders.models import OrderLine


@dataclass(slots=True)
class Waiting:
    """What one offer holds up.

    Attributes:
        lines, units: order lines and units on hold.
        amounts: what the buyers pay for them, price and discount, by currency; tax apart, as some prices include it.
    """

    lines: int = 0
    units: int = 0
    amounts: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))


def by_offer(offers: Collection[tuple[int, str]] | None = None) -> dict[tuple[int, str], Waiting]:
    """What waits, by (account, offer); for some offers or for all. Two queries."""
    rows = OrderLine.objects.exclude(hold="").order_by()
    if offers is not None:
        wanted = set(offers)
        rows = rows.filter(account_id__in={one[0] for one in wanted}, offer_ref__in={one[1] for one in wanted})
    found: dict[tuple[int, str], Waiting] = {}
    for account, offer, lines, units in rows.values_list("account_id", "offer_ref").annotate(
        Count("pk"), Sum("quantity")
    ):
        found[account, offer] = Waiting(lines, units)
    sale = Q(charges__event="sale", charges__kind__in=("item_price", "seller_discount"))
    sums = rows.filter(sale).values_list("account_id", "offer_ref", "order__currency")
    for account, offer, currency, value in sums.annotate(value=Sum("charges__amount", output_field=amount())):
        found[account, offer].amounts[currency] += value
    return {key: waiting for key, waiting in found.items() if offers is None or key in wanted}
