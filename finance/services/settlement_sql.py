"""The SQL behind settlement lines: where an order's line is found, how tax inside a fee is carved out, what changed.

Every statement works on a set and states the client itself. Parts are put together by name; values are parameters;
`@stage` stands for the temporary table that holds the lines.
"""

from __future__ import annotations

from typing import Final

#: Columns of the stage in which a settlement's lines wait, in the order they are copied.
STAGE: Final = {
    "key": "text",
    "nth": "integer",
    "ordinal": "integer",
    "raw_type": "text",
    "amount": "numeric",
    "currency": "text",
    "posted_at": "timestamptz",
    "order_ref": "text",
    "order_line_ref": "text",
    "refund_ref": "text",
    "seller_sku": "text",
    "said_site": "text",
    "quantity": "integer",
    "description": "text",
}

#: By what the staged lines are joined and grouped: the planner has to know these.
JOINED: Final = ("raw_type", "order_ref", "order_line_ref")


def on(stage: str, statement: str) -> str:
    """The statement for one stage; the name comes from `bulk.copy_stage` and is safe in SQL."""
    return statement.replace("@stage", stage)


#: What makes two lines of one key the same line; a row's place, description and site do not.
CONTENT: Final = (
    "key, raw_type, amount, currency, posted_at, order_ref, order_line_ref, refund_ref, seller_sku, quantity"
)

#: Per raw type: how many, how much, and two sums of hashes that do not depend on the order of the lines. These hashes
#: are the server's for its own partitions by hash: the same on every machine and in every version, much quicker than a
#: digest of text, and the same for 1.5 and 1.50.
SUMMARY: Final = f"""
SELECT raw_type, count(*), sum(amount), min(currency), max(currency),
       sum(hash_record_extended(ROW({CONTENT}), 0)::numeric), sum(hash_record_extended(ROW({CONTENT}), 1)::numeric)
FROM @stage
GROUP BY raw_type
"""

FOREIGN_CURRENCY: Final = """
SELECT ordinal, currency FROM @stage WHERE currency <> %(currency)s ORDER BY ordinal LIMIT 1
"""

#: From `asked(order_ref, order_line_ref, seller_sku, currency)` to the order line: by the line's id, else by the
#: seller's SKU where only one line of the order has it, else the order's only line; line_id stays empty where none is
#: certain. An order in another currency is none of theirs, as its expectation could never be held against them. Each
#: order is looked up by its key: a settlement has a few of all orders, and the planner would rather read them all.
FOUND: Final = """
found AS (
    SELECT a.order_ref, a.order_line_ref, a.seller_sku, a.currency, o.ordered_on, site.code AS site,
           coalesce(
               min(l.id) FILTER (WHERE l.external_id = a.order_line_ref),
               CASE WHEN count(*) FILTER (WHERE l.seller_sku = a.seller_sku AND a.seller_sku <> '') = 1
                    THEN min(l.id) FILTER (WHERE l.seller_sku = a.seller_sku) END,
               CASE WHEN count(*) = 1 THEN min(l.id) END
           ) AS line_id
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT o.id, o.site_id, o.ordered_on FROM orders_order AS o
        WHERE o.client_id = %(client)s AND o.account_id = %(account)s AND o.external_id = a.order_ref
          AND o.currency = a.currency
        LIMIT 1
    ) AS o
    JOIN marketplaces_site AS site ON site.id = o.site_id
    JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.order_id = o.id
    GROUP BY a.order_ref, a.order_line_ref, a.seller_sku, a.currency, o.ordered_on, site.code
)"""

#: From `placed(site, kind, day)` to the tax rate that stands inside a fee of that kind there on that day. What a
#: refund keeps is taxed inside its line wherever the fee it is kept from is.
TAXED: Final = """
tax_inside AS (
    SELECT site, kind, valid, fee_tax_rate FROM finance_feerule
    WHERE client_id = %(client)s AND is_tax_in_line AND fee_tax_rate > 0
    UNION
    SELECT r.site, r.retained_kind, r.valid * f.valid, r.fee_tax_rate
    FROM finance_refundrule AS r
    JOIN finance_feerule AS f
      ON f.client_id = %(client)s AND f.site = r.site AND f.kind = r.kind AND f.is_tax_in_line AND f.valid && r.valid
    WHERE r.client_id = %(client)s AND r.retained_kind <> '' AND r.fee_tax_rate > 0
),
taxed AS (
    SELECT p.site, p.kind, p.day, max(t.fee_tax_rate) AS rate
    FROM (SELECT DISTINCT site, kind, day FROM placed WHERE site <> '') AS p
    JOIN tax_inside AS t ON t.site = p.site AND t.kind = p.kind AND t.valid @> p.day
    GROUP BY p.site, p.kind, p.day
)"""

#: The part of an amount that is not tax: one rounding, half-up, to the currency's minor unit.
NET: Final = "CASE WHEN t.rate IS NULL THEN p.amount ELSE round(p.amount / (1 + t.rate), %(digits)s) END"
NET_BY_CURRENCY: Final = "CASE WHEN t.rate IS NULL THEN p.amount ELSE round(p.amount / (1 + t.rate), d.digits) END"

#: Lines of the settlement that still stand, each with the key its source gave it.
CURRENT: Final = """
current AS (
    SELECT id, regexp_replace(line_key, '^v[0-9]+:', '') AS key, raw_type, amount, currency, posted_at, order_ref,
           order_line_ref, refund_ref, seller_sku, quantity
    FROM finance_settlementline
    WHERE client_id = %(client)s AND settlement_id = %(settlement)s AND reverses IS NULL AND reversed_in IS NULL
)"""

#: The staged lines with the n-th of several equal ones named so; a source's own id gets a number only if repeated.
NUMBERED: Final = """
numbered AS (
    SELECT CASE WHEN key LIKE '#%%' THEN substr(key, 2) || '#' || nth WHEN nth > 1 THEN key || '#' || nth ELSE key
           END AS key,
           ordinal, raw_type, amount, currency, posted_at, order_ref, order_line_ref, refund_ref, seller_sku,
           said_site, quantity, description
    FROM @stage
)"""

#: Stage a settlement's lines from the transaction log that delivers them, but not the payout they add up to.
FROM_LOG: Final = """
INSERT INTO @stage
SELECT external_id, 1, row_number() OVER (ORDER BY posted_at, external_id), raw_type, amount, currency, posted_at,
       order_ref, order_line_ref, refund_ref, seller_sku, site, quantity, description
FROM finance_transaction
WHERE client_id = %(client)s AND account_id = %(account)s AND settlement_ref = %(settlement_ref)s AND raw_type <> ''
  AND raw_type <> ALL(%(payout_types)s::text[])
"""

#: Settlements of an account whose lines come by the log, with what the log says about each.
LOGGED: Final = """
SELECT s.id, count(t.id), coalesce(sum(t.amount), 0)
FROM finance_settlement AS s
LEFT JOIN finance_transaction AS t
  ON t.client_id = %(client)s AND t.account_id = %(account)s AND t.settlement_ref = s.settlement_ref
 AND t.raw_type <> '' AND t.raw_type <> ALL(%(payout_types)s::text[])
WHERE s.client_id = %(client)s AND s.account_id = %(account)s
  AND (s.status = 'waiting' OR s.settlement_ref = ANY(%(refs)s::text[]))
GROUP BY s.id
ORDER BY s.id
"""

LOG_TYPES: Final = """
SELECT DISTINCT t.raw_type
FROM finance_transaction AS t
JOIN finance_settlement AS s
  ON s.client_id = %(client)s AND s.account_id = %(account)s AND s.settlement_ref = t.settlement_ref
WHERE t.client_id = %(client)s AND t.account_id = %(account)s AND t.raw_type <> ''
  AND (s.status = 'waiting' OR s.settlement_ref = ANY(%(refs)s::text[]))
"""

#: Mark what a new revision no longer says, and book each such line back with its amount negated.
REVERSE: Final = f"""
WITH {CURRENT}, {NUMBERED},
gone AS (
    UPDATE finance_settlementline AS l SET reversed_in = %(revision)s, state = 'new', cause = ''
    FROM current AS c
    WHERE l.client_id = %(client)s AND l.id = c.id AND NOT EXISTS (
        SELECT 1 FROM numbered AS n
        WHERE (n.key, n.raw_type, n.amount, n.currency, n.order_ref, n.order_line_ref, n.refund_ref, n.seller_sku)
            = (c.key, c.raw_type, c.amount, c.currency, c.order_ref, c.order_line_ref, c.refund_ref, c.seller_sku)
          AND (n.quantity, n.posted_at) IS NOT DISTINCT FROM (c.quantity, c.posted_at))
    RETURNING l.*
)
INSERT INTO finance_settlementline (
    client_id, settlement_id, account_id, settlement_ref, line_key, ordinal, revision, reverses, raw_type, event, kind,
    money_class, amount, net_amount, tax_amount, currency, posted_at, order_ref, order_line_ref, refund_ref,
    seller_sku, site, quantity, description, order_line_id, state, cause, raw_id)
SELECT client_id, settlement_id, account_id, settlement_ref, 'r' || %(revision)s || ':' || line_key, ordinal,
       %(revision)s, id, raw_type, event, kind, money_class, -amount, -net_amount, -tax_amount, currency, posted_at,
       order_ref, order_line_ref, refund_ref, seller_sku, site, quantity, description, order_line_id, 'new', '',
       %(raw_id)s
FROM gone
"""

#: Add the lines that are not there yet, with their meaning, order line and tax.
APPEND: Final = f"""
WITH {CURRENT}, {NUMBERED},
kinds AS (
    SELECT * FROM unnest(%(raw_types)s::text[], %(events)s::text[], %(kinds)s::text[], %(classes)s::text[])
        AS k(raw_type, event, kind, money_class)
),
sites AS (SELECT * FROM unnest(%(said)s::text[], %(codes)s::text[], %(zones)s::text[]) AS k(said, code, zone)),
fresh AS MATERIALIZED (
    SELECT n.*, k.kind, k.money_class,
           coalesce(k.event, CASE WHEN n.order_ref = '' THEN 'account' WHEN n.refund_ref <> '' THEN 'refund'
                                  ELSE 'sale' END) AS event,
           sites.code AS own_site, sites.zone
    FROM numbered AS n
    JOIN kinds AS k USING (raw_type)
    LEFT JOIN sites ON sites.said = lower(n.said_site)
    WHERE NOT EXISTS (SELECT 1 FROM current AS c WHERE c.key = n.key)
),
asked AS (SELECT DISTINCT order_ref, order_line_ref, seller_sku, currency FROM fresh WHERE order_ref <> ''),
{FOUND},
placed AS (
    SELECT f.*, o.line_id, o.order_ref IS NOT NULL AS has_order,
           coalesce(f.own_site, nullif(lower(f.said_site), ''), o.site, %(only_site)s) AS site,
           coalesce(o.ordered_on, (f.posted_at AT TIME ZONE coalesce(f.zone, 'UTC'))::date, %(today)s) AS day
    FROM fresh AS f LEFT JOIN found AS o USING (order_ref, order_line_ref, seller_sku, currency)
),
{TAXED},
old AS (
    SELECT line_key FROM finance_settlementline WHERE client_id = %(client)s AND settlement_id = %(settlement)s
)
INSERT INTO finance_settlementline (
    client_id, settlement_id, account_id, settlement_ref, line_key, ordinal, revision, raw_type, event, kind,
    money_class, amount, net_amount, tax_amount, currency, posted_at, order_ref, order_line_ref, refund_ref,
    seller_sku, site, quantity, description, order_line_id, state, cause, raw_id)
SELECT %(client)s, %(settlement)s, %(account)s, %(settlement_ref)s,
       CASE WHEN p.key IN (SELECT line_key FROM old) THEN 'v' || %(revision)s || ':' || p.key ELSE p.key END,
       p.ordinal, %(revision)s, left(p.raw_type, 300), p.event, p.kind, p.money_class, p.amount, {NET},
       p.amount - {NET}, p.currency, p.posted_at, p.order_ref, p.order_line_ref, p.refund_ref, p.seller_sku,
       p.site, p.quantity, left(p.description, 300), p.line_id,
       CASE WHEN p.kind = 'unexplained' THEN 'discrepancy'
            WHEN p.line_id IS NULL AND p.order_ref <> '' AND p.event <> 'account' THEN 'awaiting'
            ELSE 'new' END,
       CASE WHEN p.kind = 'unexplained' THEN 'header_mismatch' ELSE '' END,
       %(raw_id)s
FROM placed AS p LEFT JOIN taxed AS t USING (site, kind, day)
ORDER BY p.ordinal
"""

#: Columns of the stage of lines that wait for their order.
WAITING_STAGE: Final = {
    "id": "bigint",
    "order_ref": "text",
    "order_line_ref": "text",
    "seller_sku": "text",
    "site": "text",
    "kind": "text",
    "amount": "numeric",
    "currency": "text",
}

#: Lines that wait for an order: all, or those whose order has changed since and those of statements nobody has seen.
#: A statement is looked through for them, as looking through all that wait would take the longer the more there are.
WAITING: Final = """
INSERT INTO @stage
SELECT s.id, s.order_ref, s.order_line_ref, s.seller_sku, s.site, s.kind, s.amount, s.currency
FROM finance_settlementline AS s
WHERE s.client_id = %(client)s AND s.account_id = %(account)s AND s.state = 'awaiting' AND s.order_line_id IS NULL
  AND s.reversed_in IS NULL
"""
WAITING_SINCE: Final = """
INSERT INTO @stage
WITH moved AS (
    SELECT DISTINCT o.external_id AS order_ref
    FROM orders_orderline AS l JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
    WHERE l.client_id = %(client)s AND l.changed_at >= %(since)s AND l.account_id = %(account)s
),
asked AS (
    SELECT s.id FROM moved AS m
    JOIN finance_settlementline AS s
      ON s.client_id = %(client)s AND s.account_id = %(account)s AND s.order_ref = m.order_ref AND s.state = 'awaiting'
    UNION
    SELECT s.id FROM finance_settlement AS h
    JOIN finance_settlementline AS s
      ON s.client_id = %(client)s AND s.settlement_id = h.id AND s.state || '' = 'awaiting'
    WHERE h.client_id = %(client)s AND h.account_id = %(account)s AND NOT h.is_seen
)
SELECT s.id, s.order_ref, s.order_line_ref, s.seller_sku, s.site, s.kind, s.amount, s.currency
FROM asked AS a JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.id = a.id
WHERE s.order_line_id IS NULL AND s.reversed_in IS NULL
"""
STAGED_CURRENCIES: Final = "SELECT DISTINCT currency FROM @stage"

#: Lines that were judged with an order line somebody has deleted since; the wording is that of the partial index. What
#: the deleted ones were added up in is not known any more, so the next run judges everything.
ORPHANED: Final = """
WITH orphaned AS (
    UPDATE finance_settlementline SET state = 'awaiting', cause = ''
    WHERE client_id = %(client)s AND NOT order_ref = '' AND NOT event = 'account' AND order_line_id IS NULL
      AND reverses IS NULL AND reversed_in IS NULL
      AND (state IN ('reconciled', 'tolerated', 'discrepancy') OR cause = 'no_rule') AND kind <> 'unexplained'
    RETURNING id
)
UPDATE finance_reconcilemark SET rules_digest = '' WHERE client_id = %(client)s AND EXISTS (SELECT FROM orphaned)
"""

#: Give awaiting lines the order line that has arrived since, with the site and the tax that follow from it.
RESOLVE: Final = f"""
WITH asked AS (SELECT DISTINCT order_ref, order_line_ref, seller_sku, currency FROM @stage),
{FOUND},
placed AS (
    SELECT w.id, w.kind, w.amount, w.currency, o.line_id, coalesce(nullif(w.site, ''), o.site) AS site,
           o.ordered_on AS day
    FROM @stage AS w JOIN found AS o USING (order_ref, order_line_ref, seller_sku, currency)
    WHERE o.line_id IS NOT NULL
),
digits AS (SELECT * FROM unnest(%(currencies)s::text[], %(minor_units)s::int[]) AS d(currency, digits)),
{TAXED}
UPDATE finance_settlementline AS l
SET order_line_id = p.line_id, site = p.site, state = 'new',
    net_amount = {NET_BY_CURRENCY}, tax_amount = p.amount - {NET_BY_CURRENCY}
FROM placed AS p
JOIN digits AS d USING (currency)
LEFT JOIN taxed AS t USING (site, kind, day)
WHERE l.client_id = %(client)s AND l.id = p.id
"""

#: Statements with lines whose words have a meaning now are news again.
UNSEEN: Final = """
UPDATE finance_settlement SET is_seen = false
WHERE client_id = %(client)s AND account_id = ANY(%(accounts)s::bigint[]) AND is_seen AND id IN (
    SELECT settlement_id FROM finance_settlementline
    WHERE client_id = %(client)s AND account_id = ANY(%(accounts)s::bigint[]) AND kind = 'unknown'
      AND raw_type = ANY(%(raw_types)s::text[]))
"""

#: Give lines of unknown kind the meaning their words have been given since, with the tax that stands inside.
RECLASSIFY: Final = f"""
WITH kinds AS (
    SELECT * FROM unnest(%(raw_types)s::text[], %(events)s::text[], %(kinds)s::text[], %(classes)s::text[])
        AS k(raw_type, event, kind, money_class)
),
digits AS (SELECT * FROM unnest(%(currencies)s::text[], %(minor_units)s::int[]) AS d(currency, digits)),
placed AS (
    SELECT l.id, l.amount, l.currency, l.site, l.order_ref, l.order_line_id, k.event, k.kind, k.money_class,
           l.reverses IS NULL AND l.reversed_in IS NULL AS is_current,
           coalesce(o.ordered_on, (l.posted_at AT TIME ZONE coalesce(site.zone, 'UTC'))::date) AS day
    FROM finance_settlementline AS l
    JOIN kinds AS k USING (raw_type)
    LEFT JOIN marketplaces_site AS site ON site.code = l.site
    LEFT JOIN orders_orderline AS ol ON ol.client_id = %(client)s AND ol.id = l.order_line_id
    LEFT JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = ol.order_id
    WHERE l.client_id = %(client)s AND l.account_id = ANY(%(accounts)s::bigint[]) AND l.kind = 'unknown'
),
{TAXED}
UPDATE finance_settlementline AS l
SET event = p.event, kind = p.kind, money_class = p.money_class, cause = '',
    net_amount = {NET_BY_CURRENCY}, tax_amount = p.amount - {NET_BY_CURRENCY},
    state = CASE WHEN p.order_line_id IS NULL AND p.order_ref <> '' AND p.event <> 'account' AND p.is_current
                 THEN 'awaiting' ELSE 'new' END
FROM placed AS p
JOIN digits AS d USING (currency)
LEFT JOIN taxed AS t USING (site, kind, day)
WHERE l.client_id = %(client)s AND l.id = p.id
"""
