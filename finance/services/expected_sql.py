"""The SQL that says what the marketplaces should book for order lines: prices as ordered, fees by dated rules.

Every statement works on the set of lines in `line_facts` and states the client itself. `wanted` gathers what is
expected until it is compared with what is stored. Rounding is half-up, once, to the currency's minor unit.
"""

from __future__ import annotations

from typing import Final

#: Tables of one run; they vanish at its end.
TEMPORARY: Final = (
    "dirty_lines",
    "line_facts",
    "wanted",
    "sale_fees",
    "refund_parts",
    "paid",
    "judged",
    "touched_lines",
    "summed_before",
    "sums_lost",
    "touched_sums",
    "sum_findings",
)

#: Lines that may have to be judged again: changed since, named by new settlement lines, or all.
DIRTY: Final = """
CREATE TEMP TABLE dirty_lines ON COMMIT DROP AS
SELECT id AS line_id FROM orders_orderline
WHERE client_id = %(client)s AND (%(full)s OR changed_at >= %(since)s)
UNION
SELECT order_line_id FROM finance_settlementline
WHERE client_id = %(client)s AND state = 'new' AND order_line_id IS NOT NULL
"""

#: What rules ask about a line. A line counts as shipped by its pieces, else by its status.
_FACTS: Final = """
SELECT l.id AS line_id, o.account_id, site.code AS site, site.zone, o.currency, d.digits, o.external_id AS order_ref,
       l.external_id AS line_ref, l.seller_sku, o.ordered_on, o.fulfillment, l.status,
       coalesce(nullif(l.category, ''), nullif(p.site_categories ->> site.code, ''), p.category, '') AS category,
       s.weight_g, l.quantity,
       CASE WHEN l.status IN ('canceled', 'refused') THEN 0
            ELSE coalesce(nullif(l.quantity_shipped, 0),
                          CASE WHEN l.status IN ('shipped', 'delivered', 'closed')
                               THEN greatest(l.quantity - coalesce(l.quantity_canceled, 0), 0)
                               ELSE 0 END) END AS shipped,
       (l.shipped_at AT TIME ZONE site.zone)::date AS shipped_on,
       (l.delivered_at AT TIME ZONE site.zone)::date AS delivered_on
FROM dirty_lines AS x
JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = x.line_id
JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
JOIN marketplaces_site AS site ON site.id = o.site_id
JOIN unnest(%(currencies)s::text[], %(minor_units)s::int[]) AS d(currency, digits) ON d.currency = o.currency
LEFT JOIN catalog_sku AS s ON s.client_id = %(client)s AND s.id = l.sku_id
LEFT JOIN catalog_product AS p ON p.client_id = %(client)s AND p.id = s.product_id
"""
FACTS: Final = f"CREATE TEMP TABLE line_facts ON COMMIT DROP AS {_FACTS}"
MORE_FACTS: Final = f"""
INSERT INTO line_facts {_FACTS} WHERE NOT EXISTS (SELECT 1 FROM line_facts AS k WHERE k.line_id = x.line_id)
"""

#: What was booked for these lines, by event and kind; reversed lines and their reversals cancel out and are left out.
PAID: Final = """
CREATE TEMP TABLE paid ON COMMIT DROP AS
SELECT s.order_line_id AS line_id, s.event, s.kind, sum(s.amount) AS amount, count(*) AS lines,
       count(DISTINCT s.amount) AS different, max(s.amount) AS one, sum(s.net_amount) AS net,
       max((s.posted_at AT TIME ZONE f.zone)::date) AS posted_on
FROM line_facts AS f
JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.order_line_id = f.line_id
WHERE s.reverses IS NULL AND s.reversed_in IS NULL AND s.event IN ('sale', 'refund') AND s.money_class <> 'cash'
GROUP BY s.order_line_id, s.event, s.kind
"""

WANTED: Final = """
CREATE TEMP TABLE wanted (
    line_id bigint, event text, kind text, amount numeric, tax_amount numeric, basis text, rule_id bigint,
    rate numeric, base_amount numeric, formula text, later numeric
) ON COMMIT DROP
"""

#: What the order says the buyer pays, for the pieces that were shipped. Kinds are no condition for the index: it would
#: be searched once for each of them.
SALE_PRICES: Final = """
INSERT INTO wanted
SELECT f.line_id, 'sale', c.kind, round(sum(c.amount) * f.shipped / f.quantity, f.digits), NULL, 'order', NULL, NULL,
       NULL,
       CASE WHEN f.shipped <> f.quantity
            THEN f.shipped || ' / ' || f.quantity || ' × ' || round(sum(c.amount), f.digits) ELSE '' END
FROM line_facts AS f
JOIN orders_ordercharge AS c ON c.client_id = %(client)s AND c.line_id = f.line_id AND c.event = 'sale'
WHERE f.shipped > 0 AND f.quantity > 0 AND c.currency = f.currency
  AND c.kind || '' = ANY(%(prices)s::text[] || %(taxes)s::text[])
GROUP BY f.line_id, c.kind, f.shipped, f.quantity, f.digits
HAVING round(sum(c.amount) * f.shipped / f.quantity, f.digits) <> 0
"""

#: One row per line and fee kind that its site charges for its fulfillment, with the most specific rule of the order's
#: day, or without one. The fee before tax is max(rate × basis, min) + fixed × pieces.
SALE_FEES: Final = """
CREATE TEMP TABLE sale_fees ON COMMIT DROP AS
WITH bases AS (
    SELECT line_id, sum(amount) AS gross, sum(amount) FILTER (WHERE kind = ANY(%(prices)s::text[])) AS net,
           sum(amount) FILTER (WHERE kind <> ALL(%(shipping)s::text[])) AS goods,
           sum(amount) FILTER (WHERE kind = ANY(%(prices)s::text[]) AND kind <> ALL(%(shipping)s::text[])) AS goods_net
    FROM wanted GROUP BY line_id
),
charged AS (
    SELECT DISTINCT x.site, x.fulfillment, r.kind
    FROM (SELECT DISTINCT site, fulfillment FROM line_facts) AS x
    JOIN finance_feerule AS r
      ON r.client_id = %(client)s AND r.site = x.site AND r.fulfillment IN ('', x.fulfillment)
),
asked AS (
    SELECT f.*, c.kind, b.gross, b.net, b.goods / f.shipped AS unit_gross, b.goods_net / f.shipped AS unit_net
    FROM line_facts AS f
    JOIN charged AS c USING (site, fulfillment)
    LEFT JOIN bases AS b USING (line_id)
    WHERE f.shipped > 0
),
matched AS (
    SELECT DISTINCT ON (a.line_id, a.kind) a.line_id, a.kind, r.id AS rule_id, r.basis, r.rate, r.fixed_amount,
           r.min_amount, r.fee_tax_rate, r.is_tax_in_line,
           CASE r.basis WHEN 'net_ex_tax' THEN a.net WHEN 'gross_incl_tax' THEN a.gross ELSE a.shipped END AS base
    FROM asked AS a
    JOIN finance_feerule AS r
      ON r.client_id = %(client)s AND r.site = a.site AND r.kind = a.kind AND r.currency = a.currency
     AND r.valid @> a.ordered_on AND r.category IN ('', a.category) AND r.fulfillment IN ('', a.fulfillment)
     AND ((lower_inf(r.weight_band) AND upper_inf(r.weight_band)) OR r.weight_band @> a.weight_g)
     AND ((lower_inf(r.price_band) AND upper_inf(r.price_band))
          OR r.price_band @> CASE r.basis WHEN 'net_ex_tax' THEN a.unit_net ELSE a.unit_gross END)
    ORDER BY a.line_id, a.kind, r.category = '', r.fulfillment = ''
)
SELECT a.line_id, a.kind, a.site, a.currency, a.digits, a.shipped, a.gross, a.net, m.rule_id, m.basis, m.rate,
       m.fixed_amount, m.min_amount, m.fee_tax_rate, m.is_tax_in_line, m.base, fee.amount AS fee,
       round(fee.amount * m.fee_tax_rate, a.digits) AS tax
FROM asked AS a
LEFT JOIN matched AS m USING (line_id, kind)
CROSS JOIN LATERAL (
    SELECT round(greatest(m.rate * m.base, m.min_amount) + m.fixed_amount * a.shipped, a.digits)
           * CASE WHEN m.base IS NULL THEN NULL ELSE 1 END AS amount
) AS fee
"""

#: How a fee came about, for people: "15.00 % × 49.80 = 7.47 + 19.00 % = 8.89".
FORMULA: Final = """
    concat_ws(' ',
        CASE WHEN s.rate > 0 THEN
            CASE WHEN s.rate * s.base < s.min_amount THEN 'at least ' || round(s.min_amount, s.digits)
                 ELSE round(s.rate * 100, 2) || ' %% × ' || round(s.base, s.digits) END END,
        CASE WHEN s.rate > 0 AND s.fixed_amount > 0 THEN '+' END,
        CASE WHEN s.fixed_amount > 0 THEN s.shipped || ' × ' || round(s.fixed_amount, s.digits) END,
        '= ' || s.fee,
        CASE WHEN s.is_tax_in_line AND s.tax <> 0
             THEN '+ ' || round(s.fee_tax_rate * 100, 2) || ' %% = ' || (s.fee + s.tax) END)"""

FEES: Final = f"""
INSERT INTO wanted
SELECT s.line_id, 'sale', s.kind, -(s.fee + CASE WHEN s.is_tax_in_line THEN s.tax ELSE 0 END),
       CASE WHEN s.is_tax_in_line THEN -s.tax WHEN s.fee IS NOT NULL THEN 0 END,
       CASE WHEN s.fee IS NULL THEN 'gap' ELSE 'rule' END, s.rule_id, s.rate, s.base,
       CASE WHEN s.fee IS NULL THEN '' ELSE {FORMULA} END
FROM sale_fees AS s
WHERE s.fee IS DISTINCT FROM 0
"""

#: Tax on fees where the marketplace books it as a line of its own.
FEE_TAXES: Final = """
INSERT INTO wanted
SELECT line_id, 'sale', kind, -sum(tax), 0, 'rule', max(rule_id), NULL, sum(fee),
       string_agg(round(fee_tax_rate * 100, 2) || ' %% × ' || fee || ' = ' || tax, ' + ' ORDER BY fee DESC)
FROM (SELECT line_id, CASE kind WHEN 'referral_fee' THEN 'referral_fee_tax' ELSE 'other_fee_tax' END AS kind, tax,
             rule_id, fee, fee_tax_rate
      FROM sale_fees WHERE NOT is_tax_in_line AND tax <> 0) AS s
GROUP BY line_id, kind
"""

#: Where the marketplace keeps the buyer's tax to pay it itself, it keeps all of it: known from the line's own booking,
#: or, while nothing is booked, from what the site did before.
WITHHELD: Final = """
INSERT INTO wanted
SELECT w.line_id, w.event, 'withheld_tax', -sum(w.amount), NULL, 'order', NULL, NULL, NULL, '', -sum(w.later)
FROM wanted AS w
JOIN line_facts AS f USING (line_id)
WHERE w.kind = ANY(%(taxes)s::text[])
  AND CASE WHEN EXISTS (SELECT 1 FROM paid AS p WHERE p.line_id = w.line_id AND p.event = w.event)
           THEN EXISTS (SELECT 1 FROM paid AS p
                        WHERE p.line_id = w.line_id AND p.event = w.event AND p.kind = 'withheld_tax')
           ELSE f.site = ANY(%(collectors)s::text[]) END
GROUP BY w.line_id, w.event
HAVING sum(w.amount) <> 0
"""

#: Kinds that were charged although no rule of the site has ever mentioned them: our ignorance, not their mistake; so
#: are prices of what was shipped where the order names none.
GAPS: Final = """
INSERT INTO wanted
SELECT p.line_id, p.event, p.kind, NULL, NULL, 'gap', NULL, NULL, NULL, ''
FROM paid AS p
JOIN line_facts AS f USING (line_id)
WHERE p.amount <> 0
  AND NOT EXISTS (SELECT 1 FROM wanted AS w WHERE (w.line_id, w.event, w.kind) = (p.line_id, p.event, p.kind))
  AND CASE
      WHEN p.kind = 'unknown' THEN false
      WHEN p.kind = ANY(%(prices)s::text[] || %(taxes)s::text[] || ARRAY['withheld_tax'])
      THEN p.event = 'sale' AND f.shipped > 0 AND NOT EXISTS (
          SELECT 1 FROM wanted AS w WHERE w.line_id = p.line_id AND w.event = 'sale' AND w.basis = 'order')
      WHEN p.kind IN ('referral_fee_tax', 'other_fee_tax')
      THEN EXISTS (SELECT 1 FROM wanted AS w WHERE w.line_id = p.line_id AND w.event = p.event AND w.basis = 'gap')
           OR NOT EXISTS (SELECT 1 FROM finance_feerule AS r WHERE r.client_id = %(client)s AND r.site = f.site)
      WHEN p.event = 'refund'
      THEN NOT EXISTS (SELECT 1 FROM finance_refundrule AS r WHERE r.client_id = %(client)s AND r.site = f.site
                         AND p.kind IN (r.kind, r.retained_kind))
           OR EXISTS (SELECT 1 FROM wanted AS w WHERE w.line_id = p.line_id AND w.event = 'refund' AND w.basis = 'gap')
      ELSE NOT EXISTS (SELECT 1 FROM finance_feerule AS r
                       WHERE r.client_id = %(client)s AND r.site = f.site AND r.kind = p.kind) END
"""

#: Store what differs.
MERGE: Final = """
INSERT INTO finance_expectedcharge AS t (
    client_id, line_id, event, kind, amount, tax_amount, currency, basis, rule_id, rate, base_amount, formula)
SELECT %(client)s, w.line_id, w.event, w.kind, w.amount, w.tax_amount, f.currency, w.basis, w.rule_id, w.rate,
       w.base_amount, left(w.formula, 200)
FROM wanted AS w JOIN line_facts AS f USING (line_id)
ORDER BY w.line_id, w.event, w.kind
ON CONFLICT (client_id, line_id, event, kind) DO UPDATE
SET amount = excluded.amount, tax_amount = excluded.tax_amount, currency = excluded.currency, basis = excluded.basis,
    rule_id = excluded.rule_id, rate = excluded.rate, base_amount = excluded.base_amount, formula = excluded.formula
WHERE (t.amount, t.tax_amount, t.currency, t.basis, t.rule_id, t.rate, t.base_amount, t.formula)
      IS DISTINCT FROM (excluded.amount, excluded.tax_amount, excluded.currency, excluded.basis, excluded.rule_id,
                        excluded.rate, excluded.base_amount, excluded.formula)
"""

#: Remove what is no longer expected.
PRUNE: Final = """
DELETE FROM finance_expectedcharge AS t USING line_facts AS f
WHERE t.client_id = %(client)s AND t.line_id = f.line_id
  AND NOT EXISTS (SELECT 1 FROM wanted AS w WHERE (w.line_id, w.event, w.kind) = (t.line_id, t.event, t.kind))
"""
