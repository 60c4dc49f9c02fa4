"""A client with history for the benches of money: orders, lines and charges by a few statements, then their files.

Each line is settled by three rows (price, tax, commission). Of 1,000 lines five have a wrong commission, two are
missing from the files, and three are booked under an order nobody knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from django.db import connection

from catalog.models import Sku
from domventas.core import tenancy
from domventas.ops.bench import data
from finance.services.reference import sync_reference
from marketplaces.models import Account, Site

#: Orders of the base; 1.8 lines each, three rows of settlement per line.
ORDERS = {"XS": 60, "S": 6_000, "M": 550_000, "L": 5_500_000}
#: Rows of one settlement file.
FILE_ROWS = {"XS": 90, "S": 5_000, "M": 30_000, "L": 30_000}
ROWS_PER_LINE = 3

_ORDERS = """
INSERT INTO orders_order (client_id, account_id, site_id, external_id, alias, currency, status, fulfillment,
                          is_business, ordered_at, ordered_on, source_updated_at, digest)
SELECT %(client)s, %(account)s, (%(sites)s::bigint[])[1 + g %% 2], '300-' || lpad((g * 7919 %% 10000000)::text, 7, '0')
       || '-' || lpad(g::text, 7, '0'), '', 'EUR', 'shipped', 'seller', false, m.at,
       (m.at AT TIME ZONE 'Europe/Berlin')::date, m.at + interval '30 hours', ''
FROM generate_series(1, %(orders)s::bigint) AS g
CROSS JOIN LATERAL (SELECT %(since)s::timestamptz + g * %(step)s::interval AS at) AS m
"""
_LINES = """
INSERT INTO orders_orderline (client_id, order_id, account_id, external_id, sku_id, offer_ref, seller_sku, product_ref,
                              title, category, quantity, quantity_shipped, status, raw_status, hold, shipped_at,
                              changed_at)
SELECT %(client)s, o.id, %(account)s, g || lpad(k::text, 2, '0'), %(first_sku)s + n, s.code, s.code, 'B0' || s.code,
       'Article ' || s.code, '', 1, 1, 'shipped', 'SHIPPED', '', o.source_updated_at,
       o.source_updated_at
FROM orders_order AS o
CROSS JOIN LATERAL (SELECT right(o.external_id, 7)::bigint AS g) AS a
CROSS JOIN LATERAL generate_series(0, (ARRAY[4, 2, 1, 1, 1])[1 + g %% 5] - 1) AS k
CROSS JOIN LATERAL (SELECT (g * 13 + k) * 7919 %% %(skus)s AS n) AS b
CROSS JOIN LATERAL (SELECT 'SKU-' || lpad(n::text, 6, '0') AS code) AS s
WHERE o.client_id = %(client)s
ORDER BY o.id, k
"""
#: Gross price of a line in cents, from its id; and the part of it that is tax.
_PRICED = """
SELECT l.id, l.external_id, l.order_id, l.seller_sku, c.gross, c.gross * 19 / 119 AS tax
FROM orders_orderline AS l
CROSS JOIN LATERAL (SELECT l.external_id::bigint / 100 AS g, l.external_id::bigint %% 100 AS k) AS a
CROSS JOIN LATERAL (SELECT 500 + (g * 31 + k * 17) * 7919 %% 14500 AS gross) AS c
WHERE l.client_id = %(client)s
"""
_CHARGES = f"""
INSERT INTO orders_ordercharge (client_id, line_id, event, refund_ref, kind, amount, currency)
SELECT %(client)s, p.id, 'sale', '', x.kind, x.cents / 100.0, 'EUR'
FROM ({_PRICED}) AS p
CROSS JOIN LATERAL (VALUES ('item_price', p.gross - p.tax), ('item_tax', p.tax)) AS x(kind, cents)
"""
#: One row of the file per amount; what the columns in between would hold, this marketplace leaves empty, too.
_ROWS = f"""
SELECT concat_ws(E'\\t', %(ref)s, '', '', '', '', '', 'Order',
                 CASE WHEN p.id %% 333 = 0 THEN '999-' || substr(o.external_id, 5) ELSE o.external_id END, '', '', '',
                 site.label, x.kind, x.words, trim_scale(x.amount)::numeric(12, 2), '', to_char(m.at, 'YYYY-MM-DD'),
                 to_char(m.at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC', p.external_id, '', '', p.seller_sku, '1', ''),
       x.amount
FROM ({_PRICED} AND l.id BETWEEN %(first)s AND %(last)s) AS p
JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = p.order_id
JOIN marketplaces_site AS site ON site.id = o.site_id
CROSS JOIN LATERAL (SELECT (o.ordered_at + interval '9 days') AT TIME ZONE 'UTC' AS at) AS m
CROSS JOIN LATERAL (VALUES
    (1, 'ItemPrice', 'Principal', (p.gross - p.tax) / 100.0),
    (2, 'ItemPrice', 'Tax', p.tax / 100.0),
    (3, 'ItemFees', 'Commission',
     -round(p.gross / 100.0 * 0.15 * (1 + CASE site.code WHEN 'amazon.de' THEN 0.19 ELSE 0.20 END), 2)
     - CASE WHEN p.id %% 200 = 0 THEN 0.5 ELSE 0 END)
) AS x(nth, kind, words, amount)
WHERE p.id %% 500 <> 1
ORDER BY p.id, x.nth
"""
_HEADER = (
    "settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date", "total-amount",
    "currency", "transaction-type", "order-id", "merchant-order-id", "adjustment-id",
    "shipment-id", "marketplace-name", "amount-type", "amount-description", "amount",
    "fulfillment-id", "posted-date", "posted-date-time", "order-item-code", "merchant-order-item-id",
    "merchant-adjustment-item-id", "sku", "quantity-purchased", "promotion-id",
)  # fmt: skip


def make(size: str, folder: Path, *, last_rows: int | None = None) -> tuple[int, list[Path]]:
    """The client with its orders; files of settlements that pay all of them. Returns the client and the files.

    Args:
        last_rows: rows of the last file; default what is left.
    """
    client, account = data.make_client()
    with tenancy.acting_for(client, actor="bench"):
        sync_reference("amazon")
        params = _params(client.pk, account, ORDERS[size])
        with connection.cursor() as cursor:
            for statement in (_ORDERS, _LINES, _CHARGES):
                cursor.execute(statement, params)
        return client.pk, _write_files(FILE_ROWS[size], last_rows, folder, params)


def _params(client: int, account: Account, orders: int) -> dict[str, Any]:
    return {
        "client": client,
        "account": account.pk,
        "sites": list(Site.objects.filter(code__in=data.SITES).order_by("code").values_list("pk", flat=True)),
        "first_sku": Sku.objects.order_by("pk").values_list("pk", flat=True)[0],
        "skus": data.SKUS,
        "orders": orders,
        "since": data.SINCE,
        "step": timedelta(days=240) / orders,
    }


def _write_files(rows_each: int, last_rows: int | None, folder: Path, params: Mapping[str, Any]) -> list[Path]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(id), max(id) FROM orders_orderline WHERE client_id = %(client)s", params)
        first, last = cursor.fetchone()
        lines, kept = rows_each // ROWS_PER_LINE, (last_rows or 0) // ROWS_PER_LINE
        starts = [*range(first, last + 1 - kept, lines), *([last + 1 - kept] if kept else ()), last + 1]
        files = []
        for number, (start, following) in enumerate(pairwise(starts)):
            part = {**params, "ref": f"{70_000_000 + number}", "first": start, "last": following - 1}
            cursor.execute(_ROWS, part)
            rows = cursor.fetchall()
            share = (number, number + 1, len(starts) - 1)
            files.append(_write_file(folder / f"settlement-{number:05d}.txt", part["ref"], rows, share))
    return files


def _write_file(path: Path, ref: str, rows: list[tuple[Any, ...]], share: tuple[int, int, int]) -> Path:
    begins, ends = (data.SINCE + timedelta(days=9) + timedelta(days=240) * n / share[2] for n in share[:2])
    total = sum(row[1] for row in rows)
    summary = [
        ref, *(f"{moment:%Y-%m-%d %H:%M:%S} UTC" for moment in (begins, ends, ends + timedelta(days=2))),
        f"{total:.2f}", "EUR",
    ]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\t".join(_HEADER) + "\n")
        file.write("\t".join(summary + [""] * (len(_HEADER) - len(summary))) + "\n")
        file.writelines(f"{row[0]}\n" for row in rows)
    return path
