"""The SQL that holds what was paid against what was expected and gives every line its verdict and cause."""

from __future__ import annotations

from typing import Final

#: What was last seen, what the rules were like, and which sites keep the buyers' tax.
RULES_DIGEST: Final = """
SELECT md5(concat_ws('|', 'sums by minor unit', %(without_statements)s::text,
    (SELECT md5(string_agg(r::text, ';' ORDER BY r.id)) FROM finance_feerule AS r WHERE r.client_id = %(client)s),
    (SELECT md5(string_agg(r::text, ';' ORDER BY r.id)) FROM finance_refundrule AS r WHERE r.client_id = %(client)s),
    (SELECT md5(string_agg(r::text, ';' ORDER BY r.id)) FROM finance_tolerance AS r WHERE r.client_id = %(client)s),
    (SELECT md5(string_agg(r::text, ';' ORDER BY r.id)) FROM finance_paymentterm AS r WHERE r.client_id = %(client)s)))
"""

SEEN_UNTIL: Final = "SELECT max(changed_at) FROM orders_orderline WHERE client_id = %(client)s"

COLLECTORS: Final = """
SELECT DISTINCT s.site
FROM finance_settlement AS h
JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.settlement_id = h.id
WHERE h.client_id = %(client)s AND NOT h.is_seen AND s.kind = 'withheld_tax' AND s.site <> ''
  AND s.state IN ('new', 'awaiting')
"""

#: Expected beside paid for each line, event and kind. Several equal bookings where one is expected are a doubled one.
#: What nobody expects and comes to nothing is right: a booking taken back, and a canceled sale that was given back.
#: Where only some of several refunds are booked, and rightly, the others are awaited.
#: `step` is the unit in which rates move; a fee belongs to a run if the rate so moved gives what was charged.
JUDGED: Final = """
CREATE TEMP TABLE judged ON COMMIT DROP AS
WITH beside AS (
    SELECT coalesce(w.line_id, p.line_id) AS line_id, coalesce(w.event, p.event) AS event,
           coalesce(w.kind, p.kind) AS kind, w.amount AS expected, p.amount AS actual,
           p.amount - w.amount AS difference, w.basis, w.rate, w.base_amount AS base, w.tax_amount AS tax, w.later,
           p.lines, p.different, p.one, p.line_id IS NOT NULL AS is_paid, w.line_id IS NOT NULL AS is_wanted
    FROM wanted AS w FULL JOIN paid AS p USING (line_id, event, kind)
),
tolerated AS (
    SELECT b.*, f.status, f.shipped, f.currency, f.digits, f.account_id, f.site, f.category, f.ordered_on,
           greatest(coalesce(t.absolute_amount, power(10::numeric, -f.digits)),
                    coalesce(t.share_of_fee, 0) * abs(b.expected)) AS allowed,
           EXISTS (SELECT 1 FROM paid AS e WHERE e.line_id = b.line_id AND e.event = b.event) AS is_booked,
           b.actual + back.amount = 0 AS is_given_back,
           b.kind = ANY(%(prices)s::text[] || %(taxes)s::text[] || ARRAY['withheld_tax']) AS is_price
    FROM beside AS b
    JOIN line_facts AS f USING (line_id)
    LEFT JOIN (
        SELECT p.line_id, p.event, p.kind, p.amount FROM paid AS p JOIN line_facts AS f USING (line_id)
        WHERE f.status IN ('canceled', 'refused')
    ) AS back ON back.line_id = b.line_id AND back.kind = b.kind AND back.event <> b.event
    LEFT JOIN LATERAL (
        SELECT t.absolute_amount, t.share_of_fee FROM finance_tolerance AS t
        WHERE t.client_id = %(client)s AND t.site = f.site AND t.currency = f.currency AND t.kind IN ('', b.kind)
          AND t.valid @> f.ordered_on
        ORDER BY t.kind = '' LIMIT 1
    ) AS t ON true
),
verdicts AS (
    SELECT *, CASE
        WHEN basis = 'gap' THEN 'no_rule'
        WHEN kind = 'unknown' THEN 'discrepancy'
        WHEN NOT is_wanted AND (actual = 0 OR is_given_back) THEN 'reconciled'
        WHEN NOT is_wanted AND shipped = 0 AND status NOT IN ('canceled', 'refused') THEN 'awaiting'
        WHEN NOT is_wanted THEN 'discrepancy'
        WHEN NOT is_booked OR abs(coalesce(actual, 0) - expected + later) <= allowed THEN 'awaiting'
        WHEN NOT is_paid THEN CASE WHEN abs(expected) <= allowed THEN 'tolerated' ELSE 'discrepancy' END
        WHEN difference = 0 THEN 'reconciled'
        WHEN abs(difference) <= allowed THEN 'tolerated'
        ELSE 'discrepancy' END AS verdict
    FROM tolerated
),
caused AS (
    SELECT *, CASE WHEN basis = 'gap' OR NOT is_booked OR is_wanted AND verdict = 'awaiting' THEN NULL
                   ELSE coalesce(actual, 0) - coalesce(expected, 0) END AS gap,
           CASE WHEN verdict <> 'discrepancy' THEN ''
                WHEN kind = 'unknown' THEN 'unknown_kind'
                WHEN lines > 1 AND different = 1 AND abs(one - expected) <= allowed
                THEN CASE WHEN expected < 0 THEN 'charged_twice' ELSE 'paid_twice' END
                WHEN event = 'refund' AND NOT is_price THEN 'refund_fee_wrong'
                WHEN NOT is_wanted THEN 'unexpected'
                WHEN is_price THEN CASE WHEN is_paid OR expected < 0 THEN 'price_differs' ELSE 'part_missing' END
                WHEN coalesce(actual, 0) < expected THEN 'fee_overcharged'
                ELSE 'fee_undercharged' END AS cause
    FROM verdicts
),
charged AS (
    SELECT *, CASE WHEN event = 'sale' AND cause IN ('fee_overcharged', 'fee_undercharged') AND rate > 0 AND base > 0
                   THEN abs(actual) * CASE WHEN expected = 0 THEN 1 ELSE (expected - coalesce(tax, 0)) / expected END
                   END AS fee
    FROM caused
),
moved AS (SELECT *, round((fee / base - rate) / %(step)s) * %(step)s AS delta FROM charged)
SELECT line_id, event, kind, expected, actual, gap AS difference, currency, verdict, cause,
       CASE WHEN verdict = 'tolerated'
            THEN concat_ws('|', 'month', account_id, site, kind, event, currency, date_trunc('month', ordered_on)::date)
            WHEN delta <> 0 AND abs(fee - (rate + delta) * base) <= %(slack)s * power(10::numeric, -digits)
            THEN concat_ws('|', 'run', account_id, currency, 'rate_changed', site, kind, category, trim_scale(rate),
                           trim_scale(rate + delta), sign(gap)::int)
            ELSE '' END AS sum_key
FROM moved
"""

#: Tax on a fee deviates with its fee: one finding, not two, and one run of them. Other fees have one tax together; it
#: goes with the one that deviates most.
TAX_FOLLOWS_FEE: Final = """
UPDATE judged AS j SET cause = fee.cause, sum_key = fee.sum_key
FROM (
    SELECT DISTINCT ON (line_id, event, tax_kind) line_id, event, tax_kind, cause, sum_key
    FROM (SELECT line_id, event, cause, sum_key, kind, difference,
                 CASE kind WHEN 'referral_fee' THEN 'referral_fee_tax' ELSE 'other_fee_tax' END AS tax_kind
          FROM judged
          WHERE verdict = 'discrepancy' AND kind NOT IN ('referral_fee_tax', 'other_fee_tax', 'withheld_tax', 'unknown')
            AND kind <> ALL(%(prices)s::text[] || %(taxes)s::text[])) AS x
    ORDER BY line_id, event, tax_kind, abs(difference) DESC, kind
) AS fee
WHERE j.verdict = 'discrepancy' AND (fee.line_id, fee.event, fee.tax_kind) = (j.line_id, j.event, j.kind)
"""

#: Store verdicts that differ. A line in a group of equal deviations stays there while it deviates as before.
MERGE: Final = """
INSERT INTO finance_linereconciliation AS t (
    client_id, line_id, event, kind, expected, actual, difference, currency, verdict, cause, group_key, sum_key)
SELECT %(client)s, line_id, event, kind, expected, actual, difference, currency, verdict, cause, '', sum_key
FROM judged
ORDER BY line_id, event, kind
ON CONFLICT (client_id, line_id, event, kind) DO UPDATE
SET expected = excluded.expected, actual = excluded.actual, difference = excluded.difference,
    currency = excluded.currency, verdict = excluded.verdict, cause = excluded.cause, group_key = '',
    sum_key = excluded.sum_key
WHERE (t.expected, t.actual, t.difference, t.currency, t.verdict, t.sum_key,
       CASE WHEN t.cause = 'rate_changed' AND excluded.cause IN ('fee_overcharged', 'fee_undercharged')
            THEN excluded.cause ELSE t.cause END)
      IS DISTINCT FROM (excluded.expected, excluded.actual, excluded.difference, excluded.currency, excluded.verdict,
                        excluded.sum_key, excluded.cause)
"""

PRUNE: Final = """
DELETE FROM finance_linereconciliation AS t USING line_facts AS f
WHERE t.client_id = %(client)s AND t.line_id = f.line_id
  AND NOT EXISTS (SELECT 1 FROM judged AS j WHERE (j.line_id, j.event, j.kind) = (t.line_id, t.event, t.kind))
"""

TOUCHED: Final = """
CREATE TEMP TABLE touched_lines ON COMMIT DROP AS SELECT line_id FROM line_facts
"""

#: Give each settlement line of these order lines the verdict of its line, event and kind; of doubled bookings the
#: first is right. What no rule covers waits, as money nobody could judge is not reconciled.
LINE_STATES: Final = """
WITH lines AS (
    SELECT s.id, s.state, s.cause, s.kind, s.event, s.order_line_id, s.money_class,
           s.reverses IS NULL AND s.reversed_in IS NULL AS is_current,
           row_number() OVER (PARTITION BY s.order_line_id, s.event, s.kind,
                                           s.reverses IS NULL AND s.reversed_in IS NULL
                              ORDER BY s.id) AS nth
    FROM (SELECT DISTINCT line_id FROM touched_lines) AS x
    JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.order_line_id = x.line_id
),
stated AS (
    SELECT l.id, CASE
               WHEN NOT l.is_current THEN 'reconciled'
               WHEN l.event = 'account' OR l.money_class = 'cash' THEN
                   CASE WHEN l.kind = 'unknown' THEN 'discrepancy' ELSE 'reconciled' END
               WHEN r.cause IN ('charged_twice', 'paid_twice') AND l.nth = 1 THEN 'reconciled'
               WHEN r.verdict IN ('reconciled', 'tolerated', 'discrepancy') THEN r.verdict
               WHEN r.verdict = 'awaiting' AND r.expected IS NOT NULL THEN 'reconciled'  -- only others are to come
               ELSE 'awaiting' END AS state,
           CASE WHEN NOT l.is_current THEN ''
                WHEN l.event = 'account' OR l.money_class = 'cash' THEN
                   CASE WHEN l.kind = 'unknown' THEN 'unknown_kind' ELSE '' END
                WHEN r.cause IN ('charged_twice', 'paid_twice') AND l.nth = 1 THEN ''
                WHEN r.verdict = 'no_rule' THEN 'no_rule'
                ELSE coalesce(r.cause, '') END AS cause
    FROM lines AS l
    LEFT JOIN finance_linereconciliation AS r
      ON r.client_id = %(client)s AND (r.line_id, r.event, r.kind) = (l.order_line_id, l.event, l.kind)
)
UPDATE finance_settlementline AS s SET state = x.state, cause = x.cause
FROM stated AS x
WHERE s.client_id = %(client)s AND s.id = x.id AND (s.state, s.cause) IS DISTINCT FROM (x.state, x.cause)
"""

#: Lines of the account itself, and those whose order has not come.
ACCOUNT_STATES: Final = """
WITH stated AS (
    SELECT id, CASE
               WHEN reverses IS NOT NULL OR reversed_in IS NOT NULL THEN 'reconciled'
               WHEN kind = 'unexplained' THEN 'discrepancy'
               WHEN order_ref <> '' AND event <> 'account' THEN 'awaiting'
               WHEN kind = 'unknown' THEN 'discrepancy'
               ELSE 'reconciled' END AS state,
           CASE
               WHEN reverses IS NOT NULL OR reversed_in IS NOT NULL THEN ''
               WHEN kind = 'unexplained' THEN 'header_mismatch'
               WHEN kind = 'unknown' AND (order_ref = '' OR event = 'account') THEN 'unknown_kind'
               ELSE '' END AS cause
    FROM finance_settlementline
    WHERE client_id = %(client)s AND order_line_id IS NULL AND (%(full)s OR state = 'new')
)
UPDATE finance_settlementline AS s SET state = x.state, cause = x.cause
FROM stated AS x
WHERE s.client_id = %(client)s AND s.id = x.id AND (s.state, s.cause) IS DISTINCT FROM (x.state, x.cause)
"""

#: Whether a gap opens, closes or changes in this run; else the list of gaps stands as it is.
HAS_GAPS: Final = """
SELECT EXISTS (SELECT 1 FROM finance_expectedcharge AS e JOIN line_facts AS f USING (line_id)
               WHERE e.client_id = %(client)s AND e.basis = 'gap')
"""

#: One row per combination no rule covers, with the lines and the money it keeps from being judged.
RULE_GAPS: Final = """
WITH gaps AS (
    SELECT site.code AS site, e.kind, o.fulfillment, o.currency,
           coalesce(nullif(l.category, ''), nullif(p.site_categories ->> site.code, ''), p.category, '') AS category,
           count(DISTINCT l.id) AS line_count, coalesce(sum(abs(r.actual)), 0) AS blocked,
           min(o.ordered_on) AS first_on, max(o.ordered_on) AS last_on
    FROM finance_expectedcharge AS e
    JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = e.line_id
    JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
    JOIN marketplaces_site AS site ON site.id = o.site_id
    LEFT JOIN catalog_sku AS s ON s.client_id = %(client)s AND s.id = l.sku_id
    LEFT JOIN catalog_product AS p ON p.client_id = %(client)s AND p.id = s.product_id
    LEFT JOIN finance_linereconciliation AS r
      ON r.client_id = %(client)s AND (r.line_id, r.event, r.kind) = (e.line_id, e.event, e.kind)
    WHERE e.client_id = %(client)s AND e.basis = 'gap'
    GROUP BY 1, 2, 3, 4, 5
),
gone AS (
    DELETE FROM finance_rulegap AS t WHERE t.client_id = %(client)s AND NOT EXISTS (
        SELECT 1 FROM gaps AS g WHERE (g.site, g.kind, g.category, g.fulfillment, g.currency)
                                    = (t.site, t.kind, t.category, t.fulfillment, t.currency))
)
INSERT INTO finance_rulegap AS t (
    client_id, site, kind, category, fulfillment, currency, line_count, blocked_amount, first_on, last_on)
SELECT %(client)s, site, kind, category, fulfillment, currency, line_count, blocked, first_on, last_on FROM gaps
ON CONFLICT (client_id, site, kind, category, fulfillment, currency) DO UPDATE
SET line_count = excluded.line_count, blocked_amount = excluded.blocked_amount, first_on = excluded.first_on,
    last_on = excluded.last_on
WHERE (t.line_count, t.blocked_amount, t.first_on, t.last_on)
      IS DISTINCT FROM (excluded.line_count, excluded.blocked_amount, excluded.first_on, excluded.last_on)
"""
