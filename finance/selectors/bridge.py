"""Why the closing balance of an account and the sum of its open order lines differ: every item, to the cent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.db import connection

from domventas.core.tenancy import current
from finance.selectors.receivables import UNFINISHED, RollForward

NOTHING: Final = Decimal(0)

#: What stands between the two, signed as it leads from the closing balance to the open lines. What was booked and not
#: transferred is owed, and no line is open for it; of lines in question the balance takes what was paid, the list asks
#: for the rest; what is still to be booked on finished lines (mostly refunds) moves the balance, and no line is open.
ITEMS: Final = """
WITH heads AS (
    SELECT h.id, h.account_id, h.currency, h.status, coalesce(h.header_total, h.lines_total) AS total,
           EXISTS (SELECT 1 FROM finance_payout AS p
                   WHERE p.client_id = %(client)s AND p.account_id = h.account_id
                     AND p.settlement_ref = h.settlement_ref AND p.state = 'paid') AS is_made
    FROM finance_settlement AS h WHERE h.client_id = %(client)s
),
cash AS (
    SELECT account_id, currency, kind, sum(amount) AS amount FROM finance_settlementline
    WHERE client_id = %(client)s AND money_class = 'cash' AND reverses IS NULL AND reversed_in IS NULL
    GROUP BY account_id, currency, kind
),
parts AS (
    SELECT account_id, currency, 'stated' AS what, -total AS amount FROM heads
    WHERE status <> 'waiting' AND total > 0 AND NOT is_made
    UNION ALL
    SELECT account_id, currency, 'below', -total FROM heads WHERE status <> 'waiting' AND total < 0 AND NOT is_made
    UNION ALL
    SELECT account_id, currency, 'reserve', amount FROM cash WHERE kind = 'reserve'
    UNION ALL
    SELECT p.account_id, p.currency, 'ahead', p.amount
    FROM finance_payout AS p
    JOIN finance_settlement AS h
      ON h.client_id = %(client)s AND h.account_id = p.account_id AND h.settlement_ref = p.settlement_ref
    WHERE p.client_id = %(client)s AND p.state = 'paid' AND h.status = 'waiting'
    UNION ALL
    SELECT account_id, currency, 'booked', -total FROM heads WHERE status <> 'waiting'
    UNION ALL
    SELECT account_id, currency, 'booked', amount FROM cash
    UNION ALL
    SELECT account_id, currency, 'booked', amount FROM finance_payout
    WHERE client_id = %(client)s AND state = 'paid' AND paid_on IS NOT NULL
    UNION ALL
    SELECT v.account_id, v.currency, 'question', -coalesce(r.difference, r.actual)
    FROM finance_receivable AS v
    JOIN finance_linereconciliation AS r ON r.client_id = %(client)s AND r.line_id = v.line_id
    WHERE v.client_id = %(client)s AND v.state = ANY(%(unfinished)s::text[])
      AND (r.difference < 0 OR r.difference > 0 OR r.difference IS NULL AND (r.actual < 0 OR r.actual > 0))
      AND (r.difference IS NOT NULL OR r.verdict NOT IN ('no_rule', 'awaiting'))
    UNION ALL
    SELECT v.account_id, v.currency, x.what, -x.amount
    FROM finance_receivable AS v
    CROSS JOIN LATERAL (VALUES ('refunds', v.awaited_refunds), ('finished', v.awaited - coalesce(v.awaited_refunds, 0)))
               AS x (what, amount)
    WHERE v.client_id = %(client)s AND v.state <> ALL(%(unfinished)s::text[]) AND v.awaited IS NOT NULL
)
SELECT account_id, currency, what, coalesce(sum(amount), 0) FROM parts GROUP BY account_id, currency, what
"""


#: The items in the order they are told; `later` and `carried` are computed beside them.
NAMED: Final = ("later", "stated", "below", "reserve", "ahead", "carried", "refunds", "finished", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """closing + items + unexplained = open [currency].

    The items:
        later: dated after the last day of the period: where it is tomorrow already.
        stated: booked in statements above zero whose transfer nobody has told yet.
        below: booked in statements below zero, for which nothing is transferred.
        reserve: booked, and held by the marketplace from statement to statement.
        ahead: transferred for statements whose lines are not here yet.
        carried: carried from statement to statement, or transferred otherwise than stated.
        refunds: given back on lines that are finished, and not booked yet.
        finished: expected on lines that are finished, and not booked (written off, as a rule).
        question: what lines in question were paid too little, less what they were paid too much.
    """

    account: str
    account_code: str
    currency: str
    closing: Decimal
    items: Mapping[str, Decimal]
    open: Decimal

    @property
    def unexplained(self) -> Decimal:
        """What no item tells; anything but zero is an error of ours."""
        return self.open - self.closing - sum(self.items.values(), NOTHING)


def bridges(balance: list[RollForward]) -> list[Bridge]:
    """From the closing balance of each row to its open lines; one query. Rows of a period in the past have none.

    Args:
        balance: as `roll_forward` gives it for a period that reaches today.
    """
    with connection.cursor() as cursor:
        cursor.execute(ITEMS, {"client": current().one, "unfinished": [*UNFINISHED]})
        known = {(account, currency, what): amount for account, currency, what, amount in cursor.fetchall()}
    return [_bridge(row, known) for row in balance if row.proved is not None]


def _bridge(row: RollForward, known: Mapping[tuple[int, str, str], Decimal]) -> Bridge:
    items = {what: known.get((row.account_id, row.currency, what), NOTHING) for what in NAMED}
    items["later"] = row.later
    booked = known.get((row.account_id, row.currency, "booked"), NOTHING)
    items["carried"] = booked - sum((items[what] for what in ("stated", "below", "reserve", "ahead")), NOTHING)
    return Bridge(
        account=row.account, account_code=row.account_code, currency=row.currency, closing=row.closing, items=items,
        open=sum((amount for state, amount in row.states.items() if state in UNFINISHED), NOTHING),
    )  # fmt: skip
