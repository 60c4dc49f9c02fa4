"""What must hold in the books of money, to the cent."""

from __future__ import annotations

from typing import Final

from domventas.core.books import Check
from finance.kinds import BALANCE_AMOUNT

CHECKS: Final = (
    Check(
        name="settlement lines sum to their header",
        broken="""
        SELECT h.settlement_ref FROM finance_settlement AS h
        LEFT JOIN (SELECT settlement_id, sum(amount) AS amount FROM finance_settlementline
                   WHERE client_id = %(client)s GROUP BY settlement_id) AS l ON l.settlement_id = h.id
        WHERE h.client_id = %(client)s AND h.status <> 'waiting'
          AND coalesce(l.amount, 0) <> coalesce(h.header_total, h.lines_total)""",
    ),
    Check(
        name="a line is its net amount and its tax",
        broken="""
        SELECT settlement_ref || '/' || ordinal FROM finance_settlementline
        WHERE client_id = %(client)s AND amount <> net_amount + tax_amount""",
    ),
    Check(
        name="a line has its settlement's currency",
        broken="""
        SELECT l.settlement_ref || '/' || l.ordinal FROM finance_settlementline AS l
        JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = l.settlement_id
        WHERE l.client_id = %(client)s AND (l.currency <> h.currency OR l.settlement_ref <> h.settlement_ref
                                            OR l.account_id <> h.account_id)""",
    ),
    Check(
        name="a reversal takes back exactly its line, once",
        broken="""
        SELECT old.settlement_ref || '/' || old.ordinal FROM finance_settlementline AS old
        LEFT JOIN (SELECT reverses, sum(amount) AS amount, count(*) AS times FROM finance_settlementline
                   WHERE client_id = %(client)s AND reverses IS NOT NULL GROUP BY reverses) AS back
          ON back.reverses = old.id
        WHERE old.client_id = %(client)s AND (old.reversed_in IS NOT NULL OR back.times IS NOT NULL)
          AND (old.reversed_in IS NULL OR coalesce(back.times, 0) <> 1 OR back.amount <> -old.amount)""",
    ),
    Check(
        name="the difference is what was paid less what was expected",
        broken="""
        SELECT line_id || ' ' || event || ' ' || kind FROM finance_linereconciliation
        WHERE client_id = %(client)s AND expected IS NOT NULL AND actual IS NOT NULL AND verdict <> 'awaiting'
          AND difference IS DISTINCT FROM actual - expected""",
    ),
    Check(
        name="what is open is what is expected less what was paid",
        broken="""
        SELECT line_id::text FROM finance_receivable
        WHERE client_id = %(client)s AND expected_net IS NOT NULL AND open IS NOT NULL
          AND state NOT IN ('paid', 'refunded', 'written_off') AND open <> expected_net - paid""",
    ),
    Check(
        name="what a line moves in the balance is what is expected of it",
        broken=f"""
        SELECT v.line_id::text FROM finance_receivable AS v
        LEFT JOIN (
            SELECT r.line_id, sum({BALANCE_AMOUNT}) FILTER (WHERE r.event = 'sale') AS sale,
                   sum({BALANCE_AMOUNT}) FILTER (WHERE r.event = 'refund') AS refund,
                   sum(r.expected - coalesce(r.actual, 0)) FILTER (WHERE r.verdict = 'awaiting') AS awaited
            FROM finance_linereconciliation AS r WHERE r.client_id = %(client)s GROUP BY r.line_id
        ) AS x USING (line_id)
        WHERE v.client_id = %(client)s
          AND (coalesce(v.sales, 0) + coalesce(v.fees, 0) + coalesce(v.withheld, 0), coalesce(v.refunds, 0),
               coalesce(v.awaited, 0), v.refunds IS NULL OR v.refunded_on IS NOT NULL, v.sold_on IS NOT NULL)
              IS DISTINCT FROM (coalesce(x.sale, 0), coalesce(x.refund, 0), coalesce(x.awaited, 0), true, true)""",
    ),
)
