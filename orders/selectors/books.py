"""What must hold among orders."""

from __future__ import annotations

from typing import Final

from domventas.core.books import Check

CHECKS: Final = (
    Check(
        name="no more is shipped or canceled than was ordered",
        broken="""
        SELECT o.external_id || '/' || l.external_id FROM orders_orderline AS l
        JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
        WHERE l.client_id = %(client)s
          AND (coalesce(l.quantity_shipped, 0) > l.quantity OR coalesce(l.quantity_canceled, 0) > l.quantity)""",
    ),
    Check(
        name="a charge has its order's currency",
        broken="""
        SELECT o.external_id || '/' || l.external_id FROM orders_ordercharge AS c
        JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = c.line_id
        JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
        WHERE c.client_id = %(client)s AND c.currency <> o.currency""",
    ),
    Check(
        name="a line lies in its order's account",
        broken="""
        SELECT o.external_id || '/' || l.external_id FROM orders_orderline AS l
        JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
        WHERE l.client_id = %(client)s AND l.account_id <> o.account_id""",
    ),
)
