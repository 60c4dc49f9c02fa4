"""The entries behind the roll-forward: everything that changes what a marketplace owes, with what it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, overload

from django.db import connection

from domventas.core.tenancy import current
from finance.kinds import KIND_PARAMS
from finance.models import Payout, Settlement
from orders.models import OrderLine

#: Columns of the roll-forward between opening and closing.
WHATS: Final = ("sales", "refunds", "fees", "withheld", "payouts", "unexplained", "awaiting")

#: Everything that changes what a marketplace owes, each on its own day: order lines when shipped, refunds when given,
#: lines of the account when booked, what was paid otherwise than expected when booked, transfers when made.
MOVED: Final = """
WITH facts AS (
    SELECT v.account_id, v.currency, coalesce(v.shipped_on, o.ordered_on) AS day,
           CASE WHEN r.event = 'refund' THEN 'refunds'
                WHEN r.kind = ANY(%(prices)s::text[] || %(taxes)s::text[]) THEN 'sales'
                WHEN r.kind IN ('withheld_tax', 'withholding_tax') THEN 'withheld' ELSE 'fees' END AS what,
           coalesce(r.expected, CASE WHEN r.verdict = 'no_rule' THEN r.actual END) AS amount,
           CASE WHEN r.event = 'refund' THEN b.day END AS booked_on, r.kind, v.line_id
    FROM finance_receivable AS v
    JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = v.line_id
    JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
    JOIN finance_linereconciliation AS r ON r.client_id = %(client)s AND r.line_id = v.line_id
    LEFT JOIN LATERAL (
        SELECT coalesce(min(s.posted_at)::date, min(x.refunded_at)::date) AS day
        FROM (SELECT 1) AS one
        LEFT JOIN finance_settlementline AS s
          ON s.client_id = %(client)s AND s.order_line_id = v.line_id AND s.event = 'refund'
         AND s.reverses IS NULL AND s.reversed_in IS NULL
        LEFT JOIN orders_orderrefund AS x ON x.client_id = %(client)s AND x.line_id = v.line_id
        WHERE r.event = 'refund'
    ) AS b ON true
    WHERE v.client_id = %(client)s
),
moved AS (
    SELECT account_id, currency, coalesce(booked_on, day) AS day, what, amount, kind, line_id,
           NULL::bigint AS settlement_id, NULL::bigint AS payout_id FROM facts WHERE amount IS NOT NULL
    UNION ALL
    SELECT s.account_id, s.currency, coalesce(s.posted_at, h.period_end, h.loaded_at)::date,
           CASE WHEN s.kind = 'unexplained' OR s.cause = 'unknown_kind' THEN 'unexplained' ELSE 'fees' END, s.amount,
           s.kind, NULL, s.settlement_id, NULL
    FROM finance_settlementline AS s
    JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = s.settlement_id
    WHERE s.client_id = %(client)s AND s.reverses IS NULL AND s.reversed_in IS NULL AND s.money_class <> 'cash'
      AND (s.order_line_id IS NULL AND s.state <> 'awaiting' OR s.event = 'account')
    UNION ALL
    SELECT l.account_id, r.currency, coalesce(v.settled_on, v.shipped_on, o.ordered_on), 'unexplained',
           coalesce(r.difference, r.actual), r.kind, r.line_id, NULL, NULL
    FROM finance_linereconciliation AS r
    JOIN orders_orderline AS l ON l.client_id = %(client)s AND l.id = r.line_id
    JOIN orders_order AS o ON o.client_id = %(client)s AND o.id = l.order_id
    LEFT JOIN finance_receivable AS v ON v.client_id = %(client)s AND v.line_id = r.line_id
    WHERE r.client_id = %(client)s
      AND (r.difference <> 0
           OR r.difference IS NULL AND r.actual <> 0 AND (r.verdict <> 'no_rule' OR v.line_id IS NULL))
    UNION ALL
    SELECT s.account_id, s.currency, coalesce(s.posted_at, h.period_end, h.loaded_at)::date, 'awaiting', s.amount,
           s.kind, NULL, s.settlement_id, NULL
    FROM finance_settlementline AS s
    JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = s.settlement_id
    WHERE s.client_id = %(client)s AND s.reverses IS NULL AND s.reversed_in IS NULL AND s.money_class <> 'cash'
      AND s.order_line_id IS NULL AND s.state = 'awaiting'
    UNION ALL
    SELECT account_id, currency, paid_on, 'payouts', -amount, '', NULL, NULL, id FROM finance_payout
    WHERE client_id = %(client)s AND state = 'paid' AND paid_on IS NOT NULL
)
"""

#: The entries of some days, those of one order line, statement or transfer together. Their sum is that of the column.
CHOSEN: Final = f"""{MOVED}, chosen AS (
    SELECT day, account_id, currency, what, line_id, settlement_id, payout_id, sum(amount) AS amount,
           array_agg(DISTINCT kind ORDER BY kind) AS kinds
    FROM moved
    WHERE (%(account)s::bigint IS NULL OR account_id = %(account)s) AND (%(currency)s = '' OR currency = %(currency)s)
      AND (%(what)s = '' OR what = %(what)s)
      AND (%(since)s::date IS NULL OR day >= %(since)s) AND (%(until)s::date IS NULL OR day <= %(until)s)
    GROUP BY day, account_id, currency, what, line_id, settlement_id, payout_id
    HAVING sum(amount) <> 0
)
"""
SUMS: Final = f"{CHOSEN} SELECT currency, count(*), sum(amount) FROM chosen GROUP BY currency ORDER BY currency"
ROWS: Final = f"""{CHOSEN} SELECT * FROM chosen
ORDER BY day DESC, abs(amount) DESC, line_id, settlement_id, payout_id, what LIMIT %(limit)s OFFSET %(offset)s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What changed the balance of an account on a day [currency], and the order line, statement or transfer it is of.

    `what` is the column of the roll-forward. `ref` is the number of that order, statement or transfer; `target` the id
    of the order, the settlement or the payout, as `of` (`order`, `settlement`, `payout`) says.
    """

    day: date
    account_id: int
    currency: str
    what: str
    amount: Decimal
    kinds: tuple[str, ...]
    of: str
    target: int
    ref: str
    sku: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """How many entries in a currency, and what they add up to."""

    currency: str
    entries: int
    amount: Decimal


class Entries(Sequence[Entry]):
    """The entries of an account, a currency and a column from one day to another, both included; the newest first.

    Empty or None stands for all. As long as it is shown in pieces only these are read: four queries each.
    """

    def __init__(
        self, *, account: int | None, currency: str, what: str, since: date | None, until: date | None
    ) -> None:
        self._asked: dict[str, Any] = {
            "client": current().one, "account": account, "currency": currency, "what": what, "since": since,
            "until": until, **KIND_PARAMS,
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(SUMS, self._asked)
            self.sums = [Sum(currency=code, entries=count, amount=total) for code, count, total in cursor.fetchall()]

    def __len__(self) -> int:
        return sum(row.entries for row in self.sums)

    @overload
    def __getitem__(self, which: int) -> Entry: ...
    @overload
    def __getitem__(self, which: slice) -> list[Entry]: ...
    def __getitem__(self, which: int | slice) -> Entry | list[Entry]:
        if isinstance(which, int):
            return self[which : which + 1][0]
        start, stop, _step = which.indices(len(self))
        with connection.cursor() as cursor:
            cursor.execute(ROWS, {**self._asked, "limit": max(stop - start, 0), "offset": start})
            return _named(cursor.fetchall())


def _named(rows: Sequence[Sequence[Any]]) -> list[Entry]:
    """The rows with the numbers people know what they belong to by; three queries."""
    lines = OrderLine.objects.select_related("order").in_bulk({row[4] for row in rows if row[4]})
    heads = Settlement.objects.in_bulk({row[5] for row in rows if row[5]})
    payouts = Payout.objects.in_bulk({row[6] for row in rows if row[6]})
    found = []
    target: dict[str, Any]
    for day, account, currency, what, line, head, payout, amount, kinds in rows:
        if line:
            order = lines[line].order
            target = {"of": "order", "target": order.pk, "ref": order.external_id, "sku": lines[line].seller_sku}
        elif head:
            target = {"of": "settlement", "target": head, "ref": heads[head].settlement_ref}
        else:
            target = {"of": "payout", "target": payout, "ref": payouts[payout].external_id}
        found.append(
            Entry(day=day, account_id=account, currency=currency, what=what, amount=amount,
                  kinds=tuple(kind for kind in kinds if kind), **target)
        )  # fmt: skip
    return found
