"""The SQL that says what a refund should do: what the buyer gets back, what of the fees we get back, what is kept.

The money given back is taken from the order where it tells, else from the statement itself; the fees on it are judged.
"""

from __future__ import annotations

from typing import Final

#: What was given back of what was shipped, by refund and kind: of what was not, nothing can be. A refund the statement
#: knows of cannot exceed what was sold. Where statements name the order's refunds by their numbers and not all of them
#: yet, the others come later.
PARTS: Final = """
CREATE TEMP TABLE refund_parts ON COMMIT DROP AS
WITH stated AS (
    SELECT f.line_id, c.refund_ref, c.kind, sum(c.amount) AS amount,
           coalesce(max((r.refunded_at AT TIME ZONE f.zone)::date), max(f.ordered_on)) AS day
    FROM line_facts AS f
    JOIN orders_ordercharge AS c ON c.client_id = %(client)s AND c.line_id = f.line_id AND c.event = 'refund'
    LEFT JOIN orders_orderrefund AS r
      ON r.client_id = %(client)s AND r.line_id = f.line_id AND r.external_id = c.refund_ref
    WHERE f.shipped > 0 AND c.kind || '' = ANY(%(prices)s::text[] || %(taxes)s::text[]) AND c.currency = f.currency
    GROUP BY f.line_id, c.refund_ref, c.kind
),
told AS (
    SELECT f.line_id, s.refund_ref, s.kind, sum(s.amount) AS amount,
           coalesce(max((s.posted_at AT TIME ZONE f.zone)::date), max(f.ordered_on)) AS day
    FROM line_facts AS f
    JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.order_line_id = f.line_id AND s.event = 'refund'
    WHERE s.reverses IS NULL AND s.reversed_in IS NULL AND s.kind = ANY(%(prices)s::text[] || %(taxes)s::text[])
      AND f.shipped > 0 AND NOT EXISTS (SELECT 1 FROM stated AS x WHERE x.line_id = f.line_id)
    GROUP BY f.line_id, s.refund_ref, s.kind
),
several AS (SELECT line_id FROM stated GROUP BY line_id HAVING count(DISTINCT refund_ref) > 1),
booked AS (
    SELECT x.line_id, array_agg(DISTINCT s.refund_ref) AS refs
    FROM several AS x
    JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.order_line_id = x.line_id AND s.event = 'refund'
    WHERE s.reverses IS NULL AND s.reversed_in IS NULL
    GROUP BY x.line_id
    HAVING bool_and(EXISTS (SELECT 1 FROM stated AS k WHERE k.line_id = x.line_id AND k.refund_ref = s.refund_ref))
)
SELECT x.line_id, x.refund_ref, x.kind, x.amount, x.day, 'order' AS basis,
       coalesce(x.refund_ref <> ALL(b.refs), false) AS is_later
FROM stated AS x LEFT JOIN booked AS b USING (line_id)
WHERE x.amount <> 0
UNION ALL
SELECT line_id, refund_ref, kind, amount, day, 'paid', false FROM told WHERE amount <> 0
"""

PRICES: Final = """
INSERT INTO wanted
SELECT p.line_id, 'refund', p.kind,
       CASE WHEN p.basis = 'order' OR sold.amount IS NULL THEN p.amount
            WHEN sold.amount > 0 THEN greatest(p.amount, -sold.amount)
            ELSE least(p.amount, -sold.amount) END,
       NULL, p.basis, NULL, NULL, NULL, '', p.later
FROM (SELECT line_id, kind, basis, sum(amount) AS amount, sum(amount) FILTER (WHERE is_later) AS later
      FROM refund_parts GROUP BY line_id, kind, basis) AS p
LEFT JOIN wanted AS sold ON sold.line_id = p.line_id AND sold.event = 'sale' AND sold.kind = p.kind
"""

#: Per refund and fee kind of the sale: the share given back of what the rule says the refunded part costs, and what is
#: kept of it: min(share kept × fee given back, cap), each rounded as its own line.
FEES: Final = """
INSERT INTO wanted
WITH refunded AS (
    SELECT line_id, refund_ref, is_later, max(day) AS day, -sum(amount) AS gross,
           -coalesce(sum(amount) FILTER (WHERE kind = ANY(%(prices)s::text[])), 0) AS net
    FROM refund_parts GROUP BY line_id, refund_ref, is_later
),
ruled AS (SELECT DISTINCT site, kind FROM finance_refundrule WHERE client_id = %(client)s),
based AS (
    SELECT s.*, x.refund_ref, x.is_later, x.day, CASE WHEN s.basis = 'net_ex_tax' THEN x.net ELSE x.gross END AS part,
           nullif(CASE WHEN s.basis = 'net_ex_tax' THEN s.net ELSE s.gross END, 0) AS whole
    FROM refunded AS x
    JOIN sale_fees AS s USING (line_id)
    JOIN ruled AS k ON k.site = s.site AND k.kind = s.kind
    WHERE s.fee IS DISTINCT FROM 0
),
back AS (
    SELECT b.*, r.id AS refund_rule, r.share_returned, r.retained_kind, r.retained_rate, r.retained_cap,
           r.fee_tax_rate AS tax_rate,
           CASE WHEN r.share_returned = 0 THEN 0 ELSE
           round(r.share_returned * (
               CASE WHEN b.basis = 'unit' THEN greatest(b.rate * b.base, b.min_amount) * b.part / b.whole
                    ELSE greatest(b.rate * b.part, b.min_amount * b.part / b.whole) END
               + b.fixed_amount * b.shipped * b.part / b.whole), b.digits)
           * CASE WHEN b.fee IS NULL THEN NULL ELSE 1 END END AS given
    FROM based AS b
    LEFT JOIN finance_refundrule AS r
      ON r.client_id = %(client)s AND r.site = b.site AND r.kind = b.kind AND r.currency = b.currency
     AND r.valid @> b.day
),
kept AS (
    SELECT b.*, round(b.given * b.tax_rate, b.digits) AS given_tax,
           CASE WHEN b.retained_kind <> '' AND b.given IS NOT NULL  -- least() passes over what is unknown
                THEN round(least(b.retained_rate * b.given, coalesce(b.retained_cap, b.retained_rate * b.given)),
                           b.digits)
           END AS retained
    FROM back AS b
),
parts AS (
    SELECT line_id, is_later, kind, given + CASE WHEN is_tax_in_line THEN given_tax ELSE 0 END AS amount,
           CASE WHEN is_tax_in_line THEN given_tax ELSE 0 END AS tax, rule_id, given IS NULL AS is_gap,
           round(share_returned * 100, 2) || ' %% of ' || CASE WHEN rate > 0 AND basis <> 'unit'
               THEN round(rate * 100, 2) || ' %% × ' || round(part, digits)
               ELSE round(part, digits) || ' / ' || round(whole, digits) || ' × ' || fee END || ' = ' || given
           || CASE WHEN is_tax_in_line AND given_tax <> 0
                   THEN ' + ' || round(tax_rate * 100, 2) || ' %% = ' || (given + given_tax) ELSE '' END AS formula
    FROM kept
    UNION ALL
    SELECT line_id, is_later, retained_kind,
           -(retained + CASE WHEN is_tax_in_line THEN round(retained * tax_rate, digits) ELSE 0 END),
           -CASE WHEN is_tax_in_line THEN round(retained * tax_rate, digits) ELSE 0 END, refund_rule, false,
           'min(' || round(retained_rate * 100, 2) || ' %% × ' || given
           || coalesce(', ' || round(retained_cap, digits), '') || ') = ' || retained
           || CASE WHEN is_tax_in_line AND tax_rate > 0
                   THEN ' + ' || round(tax_rate * 100, 2) || ' %% = ' || (retained + round(retained * tax_rate, digits))
                   ELSE '' END
    FROM kept WHERE retained <> 0
    UNION ALL
    SELECT line_id, is_later, CASE kind WHEN 'referral_fee' THEN 'referral_fee_tax' ELSE 'other_fee_tax' END,
           given_tax, 0,
           refund_rule, false, round(tax_rate * 100, 2) || ' %% × ' || given || ' = ' || given_tax
    FROM kept WHERE NOT is_tax_in_line AND given_tax <> 0
    UNION ALL
    SELECT line_id, is_later, 'other_fee_tax', -round(retained * tax_rate, digits), 0, refund_rule, false,
           round(tax_rate * 100, 2) || ' %% × ' || retained
    FROM kept WHERE NOT is_tax_in_line AND round(retained * tax_rate, digits) <> 0
)
SELECT line_id, 'refund', kind, CASE WHEN bool_or(is_gap) THEN NULL ELSE sum(amount) END,
       CASE WHEN bool_or(is_gap) THEN NULL ELSE sum(tax) END, CASE WHEN bool_or(is_gap) THEN 'gap' ELSE 'rule' END,
       max(rule_id), NULL, NULL, coalesce(string_agg(formula, '; '), ''), sum(amount) FILTER (WHERE is_later)
FROM parts
GROUP BY line_id, kind
HAVING bool_or(is_gap) OR sum(amount) <> 0
"""
