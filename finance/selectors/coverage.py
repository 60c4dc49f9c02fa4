"""For how much of what is sold the cost is known: whether a margin can be believed."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from domventas.core.tenancy import current

#: Days looked back on.
DAYS: Final = 30

COVERED: Final = """
SELECT count(*), count(*) FILTER (WHERE EXISTS (
    SELECT 1 FROM finance_skucost AS c
    WHERE c.client_id = %(client)s AND c.sku_id = l.sku_id AND c.valid @> o.ordered_on
      AND c.warehouse = ''))
FROM orders_order AS o
JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.order_id = o.id
WHERE o.client_id = %(client)s AND o.ordered_on BETWEEN %(since)s AND %(until)s
"""


def cost_coverage(*, today: date) -> Decimal | None:
    """Share of the order lines of the last thirty days whose SKU has a cost on the day of sale; None without sales.

    Orders do not say from which warehouse they went, so only costs for every warehouse count, as in a line's margin.
    """
    params: dict[str, Any] = {"client": current().one, "since": today - timedelta(days=DAYS), "until": today}
    with connection.cursor() as cursor:
        cursor.execute(COVERED, params)
        lines, covered = cursor.fetchone()
    return Decimal(covered) / lines if lines else None
