"""The entries behind the roll-forward: everything that changes what a marketplace owes, with what it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, overload

from django.db import connection

from domventas.core.tenancy import current
from finance.kinds import BALANCE_AMOUNT, BALANCE_COLUMN, KIND_PARAMS
from finance.models import Payout, Settlement
from orders.models import OrderLine

#: Columns of the roll-forward between opening and closing.
WHATS: Final = ("sales", "refunds", "fees", "withheld", "payouts", "unexplained", "awaiting")

#: Order lines by what they move, and added up by account and whether that is before, in or after a period.
_BY_LINE: Final = """
SELECT account_id, currency, sold_on, refunded_on, sales, fees, withheld, refunds, line_id FROM finance_receivable
WHERE client_id = %(client)s
"""
_ADDED_UP: Final = """
SELECT account_id, currency, min(sold_on) AS sold_on, min(refunded_on) AS refunded_on, sum(sales) AS sales,
       sum(fees) AS fees, sum(withheld) AS withheld, sum(refunds) AS refunds, NULL::bigint AS line_id
FROM finance_receivable WHERE client_id = %(client)s
GROUP BY account_id, currency, sold_on < %(start)s, sold_on < %(end)s, refunded_on < %(start)s, refunded_on < %(end)s
"""

#: Everything that changes what a marketplace owes, each on its own day: order lines when shipped, refunds when given,
#: lines of the account when booked, what was paid otherwise than expected when booked, transfers when made. Conditions
#: are written as the indexes know them: there are many lines, and few that stand apart.
_MOVED: Final = """
WITH facts AS ({lines}),
apart AS (
    SELECT account_id, currency, settlement_id, posted_at, state, kind, cause, amount FROM finance_settlementline
    WHERE client_id = %(client)s AND order_line_id IS NULL
      AND reverses IS NULL AND reversed_in IS NULL AND money_class <> 'cash'
    UNION ALL
    SELECT account_id, currency, settlement_id, posted_at, 'booked', kind, cause, amount FROM finance_settlementline
    WHERE client_id = %(client)s AND event = 'account' AND order_line_id IS NOT NULL
      AND reverses IS NULL AND reversed_in IS NULL AND money_class <> 'cash'
),
moved AS (
    SELECT f.account_id, f.currency, x.day, x.what, x.amount, '' AS kind, f.line_id,
           NULL::bigint AS settlement_id, NULL::bigint AS payout_id
    FROM facts AS f
    CROSS JOIN LATERAL (VALUES ('sales', f.sold_on, f.sales), ('fees', f.sold_on, f.fees),
                               ('withheld', f.sold_on, f.withheld), ('refunds', f.refunded_on, f.refunds))
               AS x (what, day, amount)
    WHERE x.amount IS NOT NULL
    UNION ALL
    SELECT s.account_id, s.currency, coalesce(s.posted_at, h.period_end, h.loaded_at)::date,
           CASE WHEN s.state = 'awaiting' THEN 'awaiting'
                WHEN s.kind = 'unexplained' OR s.cause = 'unknown_kind' THEN 'unexplained' ELSE 'fees' END, s.amount,
           s.kind, NULL, s.settlement_id, NULL
    FROM apart AS s
    JOIN finance_settlement AS h ON h.client_id = %(client)s AND h.id = s.settlement_id
    UNION ALL
    SELECT coalesce(v.account_id, o.account_id), r.currency, coalesce(v.settled_on, v.sold_on, o.ordered_on),
           'unexplained', coalesce(r.difference, r.actual), r.kind, r.line_id, NULL, NULL
    FROM finance_linereconciliation AS r
    LEFT JOIN finance_receivable AS v ON v.client_id = %(client)s AND v.line_id = r.line_id
    LEFT JOIN LATERAL (  -- paid, and not shipped as far as we know
        SELECT x.account_id, x.ordered_on
        FROM orders_orderline AS l JOIN orders_order AS x ON x.client_id = %(client)s AND x.id = l.order_id
        WHERE l.client_id = %(client)s AND l.id = r.line_id AND v.line_id IS NULL
    ) AS o ON true
    WHERE r.client_id = %(client)s
      AND (r.difference < 0 OR r.difference > 0 OR r.difference IS NULL AND (r.actual < 0 OR r.actual > 0))
      AND (r.difference IS NOT NULL OR r.verdict NOT IN ('no_rule', 'awaiting') OR v.line_id IS NULL)
    UNION ALL
    SELECT account_id, currency, paid_on, 'payouts', -amount, '', NULL, NULL, id FROM finance_payout
    WHERE client_id = %(client)s AND state = 'paid' AND paid_on IS NOT NULL
)
"""
MOVED: Final = _MOVED.format(lines=_BY_LINE)
MOVED_BY_PERIOD: Final = _MOVED.format(lines=_ADDED_UP)

#: The entries of some days, those of one order line, statement or transfer together. Their sum is that of the column.
CHOSEN: Final = f"""{MOVED}, chosen AS (
    SELECT day, account_id, currency, what, line_id, settlement_id, payout_id, sum(amount) AS amount,
           array_agg(DISTINCT kind ORDER BY kind) FILTER (WHERE kind <> '') AS kinds
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

#: Of which kinds the amounts of these order lines are.
KINDS: Final = f"""
SELECT r.line_id, {BALANCE_COLUMN} AS what, array_agg(DISTINCT r.kind ORDER BY r.kind)
FROM finance_linereconciliation AS r
WHERE r.client_id = %(client)s AND r.line_id = ANY(%(lines)s) AND {BALANCE_AMOUNT} IS NOT NULL GROUP BY 1, 2
"""


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

    Empty or None stands for all. As long as it is shown in pieces only these are read: five queries each.
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
    """The rows with the numbers people know what they belong to by; four queries."""
    lines = OrderLine.objects.select_related("order").in_bulk({row[4] for row in rows if row[4]})
    heads = Settlement.objects.in_bulk({row[5] for row in rows if row[5]})
    payouts = Payout.objects.in_bulk({row[6] for row in rows if row[6]})
    with connection.cursor() as cursor:
        cursor.execute(KINDS, {"client": current().one, "lines": list(lines), **KIND_PARAMS})
        of_line = {(line, what): kinds for line, what, kinds in cursor.fetchall()}
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
                  kinds=tuple(kinds or of_line.get((line, what), ())), **target)
        )  # fmt: skip
    return found
