"""The SQL that says what a marketplace still owes for each shipped order line, and by which evidence."""

from __future__ import annotations

from typing import Final

from finance.kinds import BALANCE_AMOUNT, BALANCE_COLUMN

#: Lines whose receivable may change beside those judged in this run: time has come to their day, a statement covers the
#: day their money is released (or has ceased to), a booking names their order, or a person has decided or let run out.
OPEN: Final = """
WITH periods AS MATERIALIZED (  -- whole days: a time compared with a day would keep the wall from using the index
    -- a cycle that states no beginning begins where the one before ended; one that was moved also counts where it was
    SELECT h.account_id,
           (least(coalesce(h.period_start, (
                     SELECT max(n.period_end) FROM finance_settlement AS n
                     WHERE n.client_id = %(client)s AND n.account_id = h.account_id AND n.currency = h.currency
                       AND n.period_end < h.period_end), '-infinity'),
                 CASE WHEN h.seen_end <> h.period_end THEN coalesce(h.seen_start, '-infinity') ELSE h.seen_start END)
            - interval '1 day')::date AS since,
           (greatest(h.period_end, h.seen_end) + interval '1 day')::date AS until
    FROM new_statements AS x JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = x.id
),
booked AS (
    SELECT DISTINCT l.id AS line_id
    FROM new_bookings AS b
    JOIN orders_order AS o
      ON o.client_id = %(client)s AND o.account_id = b.account_id AND o.external_id = b.order_ref
    JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.order_id = o.id
)
INSERT INTO dirty_lines
(
    SELECT line_id FROM finance_receivable WHERE client_id = %(client)s AND look_on <= %(today)s
    UNION
    SELECT line_id FROM finance_discrepancy
    WHERE client_id = %(client)s AND state = 'accepted' AND accepted_until < %(today)s AND line_id IS NOT NULL
    UNION
    SELECT line_id FROM new_decisions WHERE line_id IS NOT NULL
    UNION
    SELECT r.line_id
    FROM periods AS p
    JOIN finance_receivable AS r
      ON r.client_id = %(client)s AND r.account_id = p.account_id
     AND r.release_on BETWEEN p.since AND p.until
    WHERE r.state NOT IN ('paid', 'refunded')
    UNION
    SELECT s.order_line_id  -- of a statement that has moved every line is settled on another day
    FROM new_statements AS x
    JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = x.id AND h.seen_end <> h.period_end
    JOIN finance_settlementline AS s ON s.client_id = %(client)s AND s.settlement_id = h.id
    WHERE s.order_line_id IS NOT NULL
    UNION
    SELECT r.line_id
    FROM booked AS b JOIN finance_receivable AS r ON r.client_id = %(client)s AND r.line_id = b.line_id
    WHERE r.state NOT IN ('paid', 'refunded')
)
EXCEPT SELECT line_id FROM dirty_lines
"""

REGROUPED: Final = """
INSERT INTO dirty_lines SELECT line_id FROM touched_lines EXCEPT SELECT line_id FROM dirty_lines
"""

#: Per line: the value shipped, what is expected net of fees and refunds, what was settled. Where no rule tells a fee,
#: what was charged counts as expected, so that our ignorance is never money owed; unknown altogether only if nothing
#: of the line is known. The same by the columns of the account's balance, each with the day it moves it.
BALANCES: Final = f"""
CREATE TEMP TABLE balances ON COMMIT DROP AS
SELECT f.line_id, v.shipped_value, v.expected, coalesce(m.paid, 0) AS paid, m.sale_paid, m.settled_on,
       coalesce(v.returned, 0) AS returned, v.tolerance,
       v.sales, v.fees, v.withheld, v.refunds, v.awaited, v.awaited_refunds,
       coalesce(f.shipped_on, f.ordered_on) AS sold_on,
       CASE WHEN v.refunds IS NOT NULL
            THEN coalesce(m.refunded_on, b.refunded_on, f.shipped_on, f.ordered_on) END AS refunded_on
FROM line_facts AS f
JOIN LATERAL (
    SELECT sum(r.expected) FILTER (WHERE r.event = 'sale' AND r.kind = ANY(%(prices)s::text[] || %(taxes)s::text[]))
               AS shipped_value,
           sum(x.amount) AS expected,
           sum(r.expected) FILTER (WHERE r.event = 'refund' AND r.kind = ANY(%(prices)s::text[] || %(taxes)s::text[]))
               AS returned,
           coalesce(sum(abs(r.difference)) FILTER (WHERE r.verdict = 'tolerated'), 0) AS tolerance,
           sum(x.amount) FILTER (WHERE x.what = 'sales') AS sales, sum(x.amount) FILTER (WHERE x.what = 'fees') AS fees,
           sum(x.amount) FILTER (WHERE x.what = 'withheld') AS withheld,
           sum(x.amount) FILTER (WHERE x.what = 'refunds') AS refunds,
           sum(r.expected - coalesce(r.actual, 0)) FILTER (WHERE r.verdict = 'awaiting') AS awaited,
           sum(r.expected - coalesce(r.actual, 0)) FILTER (WHERE r.verdict = 'awaiting' AND r.event = 'refund')
               AS awaited_refunds
    FROM finance_linereconciliation AS r
    CROSS JOIN LATERAL (
        SELECT {BALANCE_AMOUNT} AS amount,
               {BALANCE_COLUMN} AS what
    ) AS x
    WHERE r.client_id = %(client)s AND r.line_id = f.line_id
) AS v ON true
LEFT JOIN LATERAL (
    SELECT sum(s.amount) AS paid, bool_or(s.event = 'sale') AS sale_paid,
           max((h.period_end AT TIME ZONE f.zone)::date) AS settled_on,
           (min(s.posted_at) FILTER (WHERE s.event = 'refund'))::date AS refunded_on
    FROM finance_settlementline AS s
    JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = s.settlement_id
    WHERE s.client_id = %(client)s AND s.order_line_id = f.line_id AND s.reverses IS NULL AND s.reversed_in IS NULL
      AND s.event IN ('sale', 'refund') AND s.money_class <> 'cash'
) AS m ON true
LEFT JOIN LATERAL (
    SELECT min(x.refunded_at)::date AS refunded_on FROM orders_orderrefund AS x
    WHERE x.client_id = %(client)s AND x.line_id = f.line_id AND v.refunds IS NOT NULL AND m.refunded_on IS NULL
) AS b ON true
WHERE f.shipped > 0
"""

#: When the money should come: by the marketplace's own booking where it names a day, else by the payment term.
DATES: Final = """
CREATE TEMP TABLE due_dates ON COMMIT DROP AS
SELECT f.line_id, t.state AS booked, t.reason, t.release_at IS NOT NULL AS is_dated, d.release_on,
       d.release_on + term.cycle_days AS due_on, d.release_on + term.cycle_days + term.grace_days AS late_on,
       EXISTS (
           SELECT 1 FROM finance_settlement AS h
           WHERE h.client_id = %(client)s AND h.account_id = f.account_id AND h.currency = f.currency
             AND h.status <> 'waiting' AND d.moment < h.period_end
             -- a cycle that states no beginning begins where the one before ended
             AND CASE WHEN h.period_start IS NOT NULL THEN d.moment >= h.period_start ELSE NOT EXISTS (
                 SELECT 1 FROM finance_settlement AS n
                 WHERE n.client_id = %(client)s AND n.account_id = h.account_id AND n.currency = h.currency
                   AND n.period_end > d.moment AND n.period_end < h.period_end) END
       ) AS is_covered
FROM line_facts AS f
LEFT JOIN LATERAL (
    SELECT t.basis, t.release_days, t.cycle_days, t.grace_days, t.transit_days FROM finance_paymentterm AS t
    WHERE t.client_id = %(client)s AND t.site = f.site AND t.valid @> f.ordered_on
    LIMIT 1
) AS term ON true
LEFT JOIN LATERAL (
    -- What the marketplace says it has put into a statement was released when it was booked; that statement may
    -- not be here yet.
    SELECT CASE WHEN t.state = 'settled' THEN 'released' ELSE t.state END AS state, t.reason,
           coalesce(t.release_at, CASE WHEN t.state = 'settled' THEN t.posted_at END) AS release_at
    FROM finance_transaction AS t
    WHERE t.client_id = %(client)s AND t.account_id = f.account_id AND t.order_ref = f.order_ref AND t.event = 'sale'
      AND t.order_line_ref IN ('', f.line_ref) AND t.state IN ('deferred', 'released', 'settled')
    ORDER BY t.order_line_ref = '', release_at DESC NULLS LAST LIMIT 1
) AS t ON true
CROSS JOIN LATERAL (
    SELECT coalesce(
        (t.release_at AT TIME ZONE f.zone)::date,
        coalesce(CASE WHEN term.basis = 'delivered' THEN f.delivered_on ELSE f.shipped_on END,
                 coalesce(f.shipped_on, f.ordered_on)
                 + CASE WHEN term.basis = 'delivered' THEN term.transit_days ELSE 0 END) + term.release_days
    ) AS release_on
) AS r
CROSS JOIN LATERAL (
    SELECT r.release_on, coalesce(t.release_at, r.release_on + interval '12 hours') AS moment
) AS d
WHERE f.shipped > 0
"""

#: One state per line, by evidence in this order: what a person decided, what was paid, what the marketplace has booked,
#: what the payment term says. A late payment is missing only if the statement that should hold it has come; where
#: statements come by hand, nothing is even late before that: there is no evidence yet. What is finished is looked at no
#: more, so it keeps no date that a later booking could still move; what is written off is not: if what was accepted
#: ceases to be so, the line is owed again.
STATES: Final = """
CREATE TEMP TABLE states ON COMMIT DROP AS
SELECT f.line_id, f.account_id, f.currency, f.shipped_on, b.shipped_value, b.expected, b.paid, b.settled_on,
       b.expected - b.paid AS open, CASE WHEN z.is_finished THEN NULL ELSE d.release_on END AS release_on,
       CASE WHEN z.is_finished THEN NULL ELSE d.due_on END AS due_on, x.state, y.is_missing,
       CASE WHEN NOT z.is_finished THEN least(CASE WHEN d.release_on > %(today)s THEN d.release_on END,
                                              CASE WHEN d.late_on >= %(today)s THEN d.late_on + 1 END) END AS look_on,
       CASE WHEN x.state = 'deferred' THEN coalesce(d.reason, '')
            WHEN x.state = 'part_paid' THEN 'differs'
            WHEN x.state <> 'overdue' THEN ''
            WHEN y.is_missing THEN 'not_in_settlement'
            WHEN d.booked = 'released' AND d.is_covered THEN 'released_not_settled'
            ELSE 'settlement_absent' END AS reason,
       b.sales, b.fees, b.withheld, b.refunds, b.awaited, b.awaited_refunds, b.sold_on, b.refunded_on
FROM line_facts AS f
JOIN balances AS b USING (line_id)
JOIN due_dates AS d USING (line_id)
LEFT JOIN LATERAL (
    SELECT bool_or(q.state = 'claimed') AS is_claimed,
           array_agg(q.cause || q.event) FILTER (
               WHERE q.state = 'accepted' AND coalesce(q.accepted_until, %(today)s) >= %(today)s) AS accepted
    FROM finance_discrepancy AS q WHERE q.client_id = %(client)s AND q.line_id = f.line_id
) AS decided ON true
CROSS JOIN LATERAL (
    SELECT d.booked = 'deferred' AND (NOT d.is_dated OR d.release_on > %(today)s) AS is_deferred,
           b.sale_paid IS NOT TRUE AND d.late_on < %(today)s AND d.is_covered
           AND (d.booked IS NULL OR d.is_dated AND d.release_on <= %(today)s) AS is_missing
) AS y
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN b.sale_paid AND b.shipped_value + b.returned <= 0 THEN 'refunded'
        WHEN b.sale_paid AND coalesce(b.expected - b.paid, 0) <= b.tolerance THEN 'paid'
        WHEN decided.is_claimed THEN 'disputed'
        WHEN decided.accepted IS NOT NULL AND NOT EXISTS (  -- what nobody has accepted is still owed
            SELECT FROM finance_linereconciliation AS r
            WHERE r.client_id = %(client)s AND r.line_id = f.line_id AND r.verdict || '' = 'discrepancy'
              AND coalesce(r.difference, r.actual) < 0 AND r.cause || r.event <> ALL(decided.accepted))
        THEN 'written_off'
        WHEN b.sale_paid THEN 'part_paid'
        WHEN f.site = ANY(%(without_statements)s::text[]) AND NOT d.is_covered THEN 'no_evidence'
        WHEN y.is_deferred THEN 'deferred'
        WHEN d.late_on < %(today)s THEN 'overdue'
        WHEN d.booked = 'released' OR d.release_on <= %(today)s THEN 'due'
        ELSE 'not_due' END AS state
) AS x
CROSS JOIN LATERAL (SELECT x.state IN ('paid', 'refunded') AS is_finished) AS z
"""

_CHANGING: Final = (
    "currency", "shipped_value", "expected_net", "paid", "open", "state", "reason", "shipped_on", "release_on",
    "due_on", "settled_on", "look_on", "sales", "fees", "withheld", "refunds", "awaited", "awaited_refunds", "sold_on",
    "refunded_on",
)  # fmt: skip
MERGE: Final = f"""
INSERT INTO finance_receivable AS t (client_id, line_id, account_id, {", ".join(_CHANGING)})
SELECT %(client)s, line_id, account_id, currency, shipped_value, expected, paid, open, state, left(reason, 120),
       shipped_on, release_on, due_on, settled_on, look_on, sales, fees, withheld, refunds, awaited, awaited_refunds,
       sold_on, refunded_on
FROM states ORDER BY line_id
ON CONFLICT (client_id, line_id) DO UPDATE
SET {", ".join(f"{name} = excluded.{name}" for name in _CHANGING)}
WHERE ({", ".join(f"t.{name}" for name in _CHANGING)})
      IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _CHANGING)})
"""

#: A line that is no longer shipped owes nothing.
PRUNE: Final = """
DELETE FROM finance_receivable AS t USING line_facts AS f
WHERE t.client_id = %(client)s AND t.line_id = f.line_id AND f.shipped = 0
"""
