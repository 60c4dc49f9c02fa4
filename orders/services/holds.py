"""What becomes of order lines when somebody maps their offer, or corrects what is known of their SKU."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from domventas.core.tenancy import current

#: Lines get the SKU, the listing of their site, and the category of that site where the order told none; those, too,
#: that came while the offer was ignored and so were not held.
_RELEASE: Final = """
WITH freed AS (
    UPDATE orders_orderline l
    SET sku_id = k.id, hold = '', changed_at = %(now)s,
        listing_id = coalesce(l.listing_id, (
            SELECT g.id FROM catalog_listing g
            WHERE g.client_id = l.client_id AND g.account_id = l.account_id AND g.site_id = o.site_id
                AND g.offer_ref = l.offer_ref)),
        category = coalesce(nullif(l.category, ''), nullif(p.site_categories ->> s.code, ''), p.category)
    FROM orders_order o, marketplaces_site s, catalog_sku k, catalog_product p
    WHERE l.client_id = %(client)s AND l.sku_id IS NULL AND l.account_id = %(account)s
        AND l.offer_ref = ANY(%(offers)s)
        AND o.client_id = l.client_id AND o.id = l.order_id AND s.id = o.site_id
        AND k.client_id = l.client_id AND k.id = %(sku)s AND p.client_id = k.client_id AND p.id = k.product_id
    RETURNING l.client_id, l.order_id, l.external_id, l.offer_ref, k.code
)
INSERT INTO orders_orderevent (client_id, order_id, line_external_id, what, before, after, actor, at)
SELECT client_id, order_id, external_id, 'released', offer_ref, code, %(actor)s, %(now)s FROM freed
ON CONFLICT DO NOTHING
"""

#: The newest mark there is, or a reader that has come so far would pass over them.
_JUDGE_ANEW: Final = """
UPDATE orders_orderline
SET changed_at = greatest(%(now)s, (SELECT max(changed_at) FROM orders_orderline WHERE client_id = %(client)s))
WHERE client_id = %(client)s AND sku_id = ANY(%(skus)s)
"""

#: Offers that came after their orders; how many units an offer holds is the listing's to say.
_LINK: Final = """
UPDATE orders_orderline l SET listing_id = g.id
FROM orders_order o, catalog_listing g
WHERE l.client_id = %(client)s AND l.account_id = %(account)s AND l.offer_ref = ANY(%(offers)s) AND l.listing_id IS NULL
    AND o.client_id = l.client_id AND o.id = l.order_id
    AND g.client_id = l.client_id AND g.account_id = l.account_id AND g.site_id = o.site_id
    AND g.offer_ref = l.offer_ref
"""


def link(*, account_id: int, offer_refs: Sequence[str]) -> int:
    """Tell lines their listings, for listings that are new; nothing about their money changes.

    Returns: how many lines were told.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LINK, {"client": current().one, "account": account_id, "offers": list(offer_refs)})
        return cursor.rowcount


def judge_anew(*, sku_ids: Sequence[int], now: datetime) -> int:
    """Mark the lines of these SKUs as changed, as the fees on them are others by what is known of the SKUs now.

    Returns: how many lines were marked.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_JUDGE_ANEW, {"client": current().one, "skus": list(sku_ids), "now": now})
        return cursor.rowcount


def release(*, account_id: int, offer_refs: Sequence[str], sku_id: int, actor: str, now: datetime) -> int:
    """Give the lines of these offers that have none their SKU, in one statement, and note who did it.

    Returns: how many lines were released; their `changed_at` moves, so that their money is computed.
    """
    parameters: dict[str, Any] = {
        "client": current().one,
        "account": account_id,
        "offers": list(offer_refs),
        "sku": sku_id,
        "actor": actor[:254],
        "now": now,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RELEASE, parameters)
        return cursor.rowcount
