"""Offers nobody has mapped, with the order lines and the money they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from domventas.core.tenancy import current

# One row per unknown offer and currency: what it holds (lines not shipped yet) and what it has sold in all.
HELD = """
SELECT u.id, u.account_id, a.code, a.channel, u.offer_ref, u.seller_sku, u.title, u.candidate_reason, s.code,
       coalesce(o.currency, ''), count(l.id),
       count(l.id) FILTER (WHERE l.status IN ('pending', 'to_accept', 'to_ship', 'part_shipped')),
       sum(c.amount), min(l.ship_by) FILTER (WHERE l.status IN ('to_accept', 'to_ship', 'part_shipped')),
       min(o.ordered_at)
FROM catalog_unmappeditem u
JOIN marketplaces_account a ON a.client_id = u.client_id AND a.id = u.account_id
LEFT JOIN catalog_sku s ON s.client_id = u.client_id AND s.id = u.candidate_id
LEFT JOIN orders_orderline l ON l.client_id = u.client_id AND l.account_id = u.account_id AND l.hold = 'unmapped'
    AND l.offer_ref = u.offer_ref
LEFT JOIN orders_order o ON o.client_id = l.client_id AND o.id = l.order_id
LEFT JOIN LATERAL (
    SELECT sum(x.amount) AS amount FROM orders_ordercharge x
    WHERE x.client_id = l.client_id AND x.line_id = l.id AND x.event = 'sale' AND x.kind IN ('item_price', 'item_tax')
) c ON true
WHERE u.client_id = %(client)s AND u.state = 'open'
GROUP BY u.id, u.account_id, a.code, a.channel, u.offer_ref, u.seller_sku, u.title, u.candidate_reason, s.code,
    o.currency
ORDER BY u.id, o.currency
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOffer:
    """An offer without a SKU: order lines it touches, lines still to ship, value with tax [currency]."""

    item_id: int
    account_id: int
    account_code: str
    channel: str
    offer_ref: str
    seller_sku: str
    title: str
    candidate: str
    candidate_reason: str
    currency: str
    line_count: int
    waiting_count: int
    value: Decimal | None
    ship_by: datetime | None
    first_order_at: datetime | None


def unknown_offers() -> Iterator[UnknownOffer]:
    """Every open unmapped offer, in one query; several rows where it sold in several currencies."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, {"client": current().one})
        for row in cursor.fetchall():
            yield UnknownOffer(
                item_id=row[0], account_id=row[1], account_code=row[2], channel=row[3], offer_ref=row[4],
                seller_sku=row[5], title=row[6], candidate_reason=row[7], candidate=row[8] or "", currency=row[9],
                line_count=row[10], waiting_count=row[11], value=row[12], ship_by=row[13], first_order_at=row[14],
            )  # fmt: skip
