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

#: Each order line's deviations of one cause and event; its kind is the one that deviates most. Unless everything is
#: judged, the verdict is no condition for an index: that would read the findings of all lines there are.
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
WHERE CASE WHEN %(full)s THEN r.verdict = 'discrepancy' ELSE r.verdict || '' = 'discrepancy' END
  AND r.cause <> 'rate_changed'
GROUP BY f.account_id, r.cause, r.event, r.line_id, f.site, f.order_ref, f.line_ref, f.seller_sku, r.currency,
         f.shipped_on, f.ordered_on
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
  AND (%(full)s OR s.settlement_id IN (SELECT id FROM touched_settlements))
GROUP BY s.account_id, s.cause, s.settlement_id, h.settlement_ref, s.currency,
         CASE s.cause WHEN 'unknown_kind' THEN s.raw_type ELSE '' END
"""

#: Somebody has accepted this much and no more; of many lines together, which grow by each sale, he accepted the cause.
_WORSE: Final = """t.state = 'accepted' AND t.cause NOT IN ('rate_changed', 'rounding')
                 AND (abs(excluded.amount) > abs(t.amount) OR sign(excluded.amount) <> sign(t.amount))"""
MERGE: Final = f"""
INSERT INTO finance_discrepancy AS t (
    client_id, account_id, cause, kind, event, fingerprint, group_key, site, line_id, settlement_id, settlement_line_id,
    order_ref, line_ref, seller_sku, expected, actual, amount, currency, happened_on, state, note, found_at,
    decided_by, is_seen)
SELECT %(client)s, account_id, cause, kind, event, fingerprint, left(group_key, 160), coalesce(site, ''), line_id,
       settlement_id, settlement_line_id, order_ref, line_ref, seller_sku, expected, actual, amount, currency,
       happened_on, 'open', left(note, 300), %(now)s, '', true
FROM found ORDER BY fingerprint
ON CONFLICT (client_id, fingerprint) DO UPDATE
SET kind = excluded.kind, group_key = excluded.group_key, settlement_id = excluded.settlement_id,
    settlement_line_id = excluded.settlement_line_id, expected = excluded.expected, actual = excluded.actual,
    amount = excluded.amount, happened_on = excluded.happened_on,
    state = CASE WHEN t.state = 'gone' OR (t.state = 'accepted' AND t.accepted_until < %(today)s) THEN 'open'
                 WHEN {_WORSE} THEN 'open' ELSE t.state END,
    is_seen = CASE WHEN {_WORSE} THEN false ELSE t.is_seen END,
    gone_at = NULL, note = CASE WHEN t.decided_by = '' THEN excluded.note ELSE t.note END
WHERE (t.kind, t.group_key, t.settlement_id, t.settlement_line_id, t.expected, t.actual, t.amount, t.happened_on)
      IS DISTINCT FROM (excluded.kind, excluded.group_key, excluded.settlement_id, excluded.settlement_line_id,
                        excluded.expected, excluded.actual, excluded.amount, excluded.happened_on)
   OR t.state = 'gone' OR (t.state = 'accepted' AND t.accepted_until < %(today)s)
"""

#: What was looked at in this run and not found again is gone; what a person decided about it ends in the next run.
GONE: Final = """
WITH looked_at AS (
    SELECT t.id FROM line_facts AS f JOIN finance_discrepancy AS t ON t.client_id = %(client)s AND t.line_id = f.line_id
    UNION ALL
    SELECT t.id FROM touched_settlements AS x
    JOIN finance_discrepancy AS t ON t.client_id = %(client)s AND t.settlement_id = x.id AND t.line_id IS NULL
    UNION ALL
    SELECT t.id FROM sum_findings AS x
    JOIN finance_discrepancy AS t ON t.client_id = %(client)s AND t.fingerprint = x.fingerprint
)
UPDATE finance_discrepancy AS t SET state = 'gone', gone_at = %(now)s, is_seen = t.state = 'open'
WHERE t.client_id = %(client)s AND t.state <> 'gone' AND (%(full)s OR t.id IN (SELECT id FROM looked_at))
  AND NOT EXISTS (SELECT 1 FROM found AS f WHERE f.fingerprint = t.fingerprint)
"""

#: Accepted until a day that has passed: what this run had no reason to look at stands as it was found, open again.
EXPIRED: Final = """
UPDATE finance_discrepancy SET state = 'open'
WHERE client_id = %(client)s AND state = 'accepted' AND accepted_until < %(today)s
"""
