"""The SQL that turns verdicts into findings: one per order line, event and cause, one per run of equal deviations.

A finding is known again by its fingerprint; it comes and goes with the facts, and keeps what people decided about it.
"""

from __future__ import annotations

from typing import Final

FOUND: Final = """
CREATE TEMP TABLE found (
    account_id bigint, cause text, kind text, event text, fingerprint text, group_key text, site text, line_id bigint,
    settlement_id bigint, settlement_line_id bigint, order_ref text, line_ref text, seller_sku text, expected numeric,
    actual numeric, amount numeric, currency text, happened_on date, note text
) ON COMMIT DROP
"""

#: Each order line's deviations of one cause and event; its kind is the one that deviates most.
OF_LINES: Final = """
INSERT INTO found
SELECT f.account_id, r.cause, (array_agg(r.kind ORDER BY abs(r.difference) DESC NULLS LAST, r.kind))[1], r.event,
       encode(sha256(convert_to(concat_ws('|', 'line', f.account_id, r.cause, r.line_id, r.event), 'UTF8')), 'hex'),
       concat_ws('|', r.cause, f.site, (array_agg(r.kind ORDER BY abs(r.difference) DESC NULLS LAST, r.kind))[1],
                 r.event),
       f.site, r.line_id, max(s.settlement_id), max(s.id), f.order_ref, f.line_ref, f.seller_sku, sum(r.expected),
       sum(r.actual), sum(coalesce(r.difference, r.actual)), r.currency,
       coalesce(max((s.posted_at AT TIME ZONE f.zone)::date), f.shipped_on, f.ordered_on), ''
FROM line_facts AS f
JOIN finance_linereconciliation AS r ON r.client_id = %(client)s AND r.line_id = f.line_id
LEFT JOIN LATERAL (
    SELECT s.id, s.settlement_id, s.posted_at FROM finance_settlementline AS s
    WHERE s.client_id = %(client)s AND s.order_line_id = r.line_id AND s.event = r.event AND s.kind = r.kind
      AND s.reverses IS NULL AND s.reversed_in IS NULL
    ORDER BY s.id DESC LIMIT 1
) AS s ON true
WHERE r.verdict = 'discrepancy' AND r.cause <> 'rate_changed'
GROUP BY f.account_id, r.cause, r.event, r.line_id, f.site, f.order_ref, f.line_ref, f.seller_sku, r.currency,
         f.shipped_on, f.ordered_on
"""

#: One finding for all lines that deviate by the same rate.
OF_GROUPS: Final = """
INSERT INTO found
SELECT o.account_id, 'rate_changed', r.kind, r.event,
       encode(sha256(convert_to(concat_ws('|', 'group', o.account_id, r.group_key), 'UTF8')), 'hex'),
       r.group_key, site.code, NULL, NULL, NULL, '', '', '', sum(r.expected), sum(r.actual), sum(r.difference),
       r.currency, min(o.ordered_on), count(*)::text
FROM finance_linereconciliation AS r
JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = r.line_id
JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
JOIN marketplaces_site AS site ON site.id = o.site_id
WHERE r.client_id = %(client)s AND r.verdict = 'discrepancy' AND r.cause = 'rate_changed'
GROUP BY o.account_id, r.kind, r.event, r.group_key, site.code, r.currency
"""

#: Shipped, late, and not in the statement that should hold it.
MISSING: Final = """
INSERT INTO found
SELECT s.account_id, 'payment_missing', '', 'sale',
       encode(sha256(convert_to(concat_ws('|', 'line', s.account_id, 'payment_missing', s.line_id, 'sale'), 'UTF8')),
              'hex'),
       'payment_missing|' || f.site, f.site, s.line_id, NULL, NULL, f.order_ref, f.line_ref, f.seller_sku, s.expected,
       0, -s.open, s.currency, s.due_on, ''
FROM states AS s JOIN line_facts AS f USING (line_id)
WHERE s.is_missing AND s.open <> 0  -- a dear fee may exceed the price: not settled is not settled
"""

#: Lines of the account in words nobody knows, and headers that differ from their lines.
OF_SETTLEMENTS: Final = """
INSERT INTO found
SELECT s.account_id, s.cause, CASE s.cause WHEN 'unknown_kind' THEN 'unknown' ELSE 'unexplained' END, 'account',
       encode(sha256(convert_to(concat_ws('|', 'settlement', s.account_id, s.cause, s.settlement_id,
           CASE s.cause WHEN 'unknown_kind' THEN s.raw_type ELSE '' END), 'UTF8')), 'hex'),
       concat_ws('|', s.cause, h.settlement_ref), max(s.site), NULL, s.settlement_id, max(s.id), '', '', '',
       CASE s.cause WHEN 'unknown_kind' THEN NULL ELSE max(h.lines_total) END,
       CASE s.cause WHEN 'unknown_kind' THEN sum(s.amount) ELSE max(h.header_total) END, sum(s.amount), s.currency,
       coalesce(max(s.posted_at), max(h.period_end))::date,
       CASE s.cause WHEN 'unknown_kind' THEN s.raw_type ELSE '' END
FROM finance_settlementline AS s
JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = s.settlement_id
WHERE s.client_id = %(client)s AND s.state = 'discrepancy' AND s.order_line_id IS NULL
  AND s.cause IN ('unknown_kind', 'header_mismatch') AND s.reverses IS NULL AND s.reversed_in IS NULL
GROUP BY s.account_id, s.cause, s.settlement_id, h.settlement_ref, s.currency,
         CASE s.cause WHEN 'unknown_kind' THEN s.raw_type ELSE '' END
"""

#: Months of a site in which a line has been judged in this run; the tolerated differences of others are as they were.
TOUCHED_MONTHS: Final = """
CREATE TEMP TABLE touched_months ON COMMIT DROP AS
SELECT DISTINCT f.account_id, f.site, date_trunc('month', f.ordered_on)::date AS month
FROM touched_lines AS x JOIN line_facts AS f USING (line_id)
"""

#: Where to look for them: from the first day of the oldest month to the end of the newest.
SPAN: Final = "SELECT min(month), (max(month) + interval '1 month')::date FROM touched_months"

#: Small differences that all go one way: more than so many lines of a month, or more than so much money.
ROUNDING: Final = """
INSERT INTO found
SELECT o.account_id, 'rounding', r.kind, r.event,
       encode(sha256(convert_to(concat_ws('|', 'month', o.account_id, site.code, r.kind, r.event,
           date_trunc('month', o.ordered_on)::date), 'UTF8')), 'hex'),
       concat_ws('|', 'rounding', site.code, r.kind, r.event, date_trunc('month', o.ordered_on)::date), site.code,
       NULL, NULL, NULL, '', '', '', sum(r.expected), sum(r.actual), sum(r.difference), r.currency,
       date_trunc('month', o.ordered_on)::date, count(*)::text
FROM finance_linereconciliation AS r
JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = r.line_id
JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
JOIN marketplaces_site AS site ON site.id = o.site_id
WHERE r.client_id = %(client)s AND r.verdict = 'tolerated'
  AND (%(full)s OR (o.ordered_on >= %(months_from)s AND o.ordered_on < %(months_until)s
                    AND (o.account_id, site.code, date_trunc('month', o.ordered_on)::date)
                        IN (SELECT account_id, site, month FROM touched_months)))
GROUP BY o.account_id, site.code, r.kind, r.event, r.currency, date_trunc('month', o.ordered_on)
HAVING (abs(sum(sign(r.difference))) > %(one_sided_lines)s AND abs(sum(sign(r.difference))) >= count(*) * 0.8)
    OR abs(sum(r.difference)) > coalesce(
        (SELECT l.amount FROM unnest(%(limit_currencies)s::text[], %(limit_amounts)s::numeric[]) AS l(currency, amount)
         WHERE l.currency = r.currency), %(one_sided_amount)s)
"""

MERGE: Final = """
INSERT INTO finance_discrepancy AS t (
    client_id, account_id, cause, kind, event, fingerprint, group_key, site, line_id, settlement_id, settlement_line_id,
    order_ref, line_ref, seller_sku, expected, actual, amount, currency, happened_on, state, note, found_at,
    decided_by)
SELECT %(client)s, account_id, cause, kind, event, fingerprint, left(group_key, 160), coalesce(site, ''), line_id,
       settlement_id, settlement_line_id, order_ref, line_ref, seller_sku, expected, actual, amount, currency,
       happened_on, 'open', left(note, 300), %(now)s, ''
FROM found ORDER BY fingerprint
ON CONFLICT (client_id, fingerprint) DO UPDATE
SET kind = excluded.kind, group_key = excluded.group_key, settlement_id = excluded.settlement_id,
    settlement_line_id = excluded.settlement_line_id, expected = excluded.expected, actual = excluded.actual,
    amount = excluded.amount, happened_on = excluded.happened_on,
    state = CASE WHEN t.state = 'gone' OR (t.state = 'accepted' AND t.accepted_until < %(today)s) THEN 'open'
                 ELSE t.state END,
    gone_at = NULL, note = CASE WHEN t.decided_by = '' THEN excluded.note ELSE t.note END
WHERE (t.kind, t.group_key, t.settlement_id, t.settlement_line_id, t.expected, t.actual, t.amount, t.happened_on)
      IS DISTINCT FROM (excluded.kind, excluded.group_key, excluded.settlement_id, excluded.settlement_line_id,
                        excluded.expected, excluded.actual, excluded.amount, excluded.happened_on)
   OR t.state = 'gone' OR (t.state = 'accepted' AND t.accepted_until < %(today)s)
"""

#: What was looked at in this run and not found again is gone.
GONE: Final = """
UPDATE finance_discrepancy AS t SET state = 'gone', gone_at = %(now)s
WHERE t.client_id = %(client)s AND t.state <> 'gone'
  AND (t.line_id IS NULL OR t.line_id IN (SELECT line_id FROM line_facts))
  AND (%(full)s OR t.cause <> 'rounding'
       OR (t.account_id, t.site, t.happened_on) IN (SELECT account_id, site, month FROM touched_months))
  AND NOT EXISTS (SELECT 1 FROM found AS f WHERE f.fingerprint = t.fingerprint)
"""
