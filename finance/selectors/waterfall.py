"""From what the buyer paid to what is left of one order line: the cash way, the margin way, and the bridge between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from domventas.core.money import total
from finance.kinds import KIND_PARAMS
from finance.models import ExpectedCharge, LineReconciliation, SettlementLine
from finance.selectors.costs import costs_of
from finance.selectors.rates import RateBook, rates_on
from marketplaces.records import FeeKind, LineStatus, MoneyClass
from orders.models import OrderCharge, OrderLine

NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a waterfall: expected beside paid, signed as seen by us [order's currency]; None = unknown."""

    kind: str
    event: str
    expected: Decimal | None
    paid: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """One order line from gross to payout (`cash`, tax included) and to contribution (`margin`, without tax).

    The bridge: payout − output tax + recoverable tax on fees + tax the marketplace keeps = revenue less fees; less cost
    of goods = contribution. Figures are None while a part of them is unknown: a price whose tax nobody states, a cost
    nobody entered, a fee no rule tells.
    """

    currency: str
    cash: Sequence[Step]
    margin: Sequence[Step]
    payout_expected: Decimal | None
    payout_paid: Decimal | None
    output_tax: Decimal | None
    fee_tax: Decimal | None
    withheld_tax: Decimal
    before_cost: Decimal | None
    cost: Decimal | None
    contribution: Decimal | None
    unknown: Sequence[str]
    """Why figures are missing: `tax_in_price`, `cost`, `fee`."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the way of one line is told from; `nets` is what was booked without the tax inside, by event and kind."""

    judged: Sequence[LineReconciliation]
    wanted: Mapping[tuple[str, str], ExpectedCharge]
    nets: Mapping[tuple[str, str], Decimal]
    states_tax: bool
    cost: Decimal | None


def waterfall(line: OrderLine, *, is_tax_in_price: bool | None = None) -> Waterfall:
    """The way of one line: see `waterfalls`."""
    return waterfalls([line], is_tax_in_price=is_tax_in_price)[line.pk]


def waterfalls(lines: Sequence[OrderLine], *, is_tax_in_price: bool | None = None) -> Mapping[int, Waterfall]:
    """The expected way of each line beside the paid one, with the cost of the order's day; by the line's id.

    A fixed number of queries, and two for each day on which a cost is converted. Lines come with their orders.

    Args:
        is_tax_in_price: whether prices carry a tax that no charge states; default: no charge of the line states a tax
            and the marketplace taxes its own fees there.
    """
    judged: dict[int, list[LineReconciliation]] = defaultdict(list)
    for row in LineReconciliation.objects.filter(line__in=lines):
        judged[row.line_id].append(row)
    wanted: dict[int, dict[tuple[str, str], ExpectedCharge]] = defaultdict(dict)
    for charge in ExpectedCharge.objects.filter(line__in=lines):
        wanted[charge.line_id][charge.event, charge.kind] = charge
    nets, costs = _paid_nets(lines), _costs(lines)
    taxed = OrderCharge.objects.filter(line__in=lines, kind__in=KIND_PARAMS["taxes"])
    states_tax = set(taxed.values_list("line", flat=True))
    return {
        line.pk: _fall(
            line.order.currency,
            _Facts(judged[line.pk], wanted[line.pk], nets[line.pk], line.pk in states_tax, costs.get(line.pk)),
            is_tax_in_price,
        )
        for line in lines
    }


_PROFIT: Final = frozenset(kind for kind in FeeKind if kind.money_class is MoneyClass.PROFIT)


def _fall(currency: str, facts: _Facts, is_tax_in_price: bool | None) -> Waterfall:
    wanted, nets = facts.wanted, facts.nets
    cash = [
        Step(kind=row.kind, event=row.event, expected=row.expected, paid=row.actual)
        for row in sorted(facts.judged, key=_order)
    ]
    hidden = _hides_tax(facts) if is_tax_in_price is None else is_tax_in_price
    profit = [step for step in cash if step.kind in _PROFIT]
    margin = [_net(step, wanted, nets, is_price_hidden=hidden) for step in profit]
    fee_tax = total(_fee_tax(step, wanted) for step in cash)
    withheld = sum((step.expected or NOTHING for step in cash if step.kind == FeeKind.WITHHELD_TAX), NOTHING)
    taxes = [step for step in cash if step.kind in KIND_PARAMS["taxes"]]
    before = total(step.expected for step in margin)
    missing = {
        "tax_in_price": hidden,
        "fee": any(step.expected is None for step in cash),
        "cost": facts.cost is None,
    }
    return Waterfall(
        currency=currency, cash=cash, margin=margin, payout_expected=total(step.expected for step in cash),
        payout_paid=total(step.paid for step in cash if step.paid is not None) if nets else None,
        output_tax=None if hidden else total(-(step.expected or NOTHING) for step in taxes),
        fee_tax=fee_tax, withheld_tax=withheld, before_cost=before, cost=facts.cost,
        contribution=total((before, facts.cost)), unknown=[name for name, is_missing in missing.items() if is_missing],
    )  # fmt: skip


def _order(row: LineReconciliation) -> tuple[bool, int, str]:
    prices = KIND_PARAMS["prices"] + KIND_PARAMS["taxes"]
    return row.event != "sale", prices.index(row.kind) if row.kind in prices else len(prices), row.kind


def _paid_nets(lines: Sequence[OrderLine]) -> Mapping[int, Mapping[tuple[str, str], Decimal]]:
    """What was booked for each line without the tax inside, by event and kind."""
    nets: dict[int, dict[tuple[str, str], Decimal]] = defaultdict(dict)
    rows = SettlementLine.objects.filter(order_line__in=lines, reverses=None, reversed_in=None)
    for line, event, kind, net in rows.values_list("order_line", "event", "kind", "net_amount"):
        nets[line][event, kind] = nets[line].get((event, kind), NOTHING) + net
    return nets


def _hides_tax(facts: _Facts) -> bool:
    """Prices whose tax no charge states, where the marketplace puts the same tax on its fees."""
    return not facts.states_tax and any(row.kind == FeeKind.REFERRAL_FEE_TAX for row in facts.judged)


def _net(
    step: Step,
    wanted: Mapping[tuple[str, str], ExpectedCharge],
    nets: Mapping[tuple[str, str], Decimal],
    *,
    is_price_hidden: bool,
) -> Step:
    """The step without the tax inside it."""
    key = (step.event, step.kind)
    is_unknown = is_price_hidden and step.kind in KIND_PARAMS["prices"]
    inside = (wanted[key].tax_amount if key in wanted else None) or NOTHING
    return Step(
        kind=step.kind,
        event=step.event,
        expected=None if step.expected is None or is_unknown else step.expected - inside,
        paid=None if is_unknown else nets.get(key),
    )


def _fee_tax(step: Step, wanted: Mapping[tuple[str, str], ExpectedCharge]) -> Decimal | None:
    """Tax on fees in this step, to be claimed back: inside the fee's amount, or a line of its own."""
    if step.kind in {FeeKind.REFERRAL_FEE_TAX, FeeKind.OTHER_FEE_TAX}:
        return step.expected
    row = wanted.get((step.event, step.kind))
    if row is None or row.basis != ExpectedCharge.Basis.RULE:
        return None if row is not None and row.basis == ExpectedCharge.Basis.GAP else NOTHING
    return row.tax_amount or NOTHING


def _pieces(line: OrderLine) -> int:
    """The pieces that left, as they are counted for what is expected: by their number, else by the line's status."""
    if line.status in {LineStatus.CANCELED, LineStatus.REFUSED}:
        return 0
    if line.status in {LineStatus.SHIPPED, LineStatus.DELIVERED, LineStatus.CLOSED}:
        return line.quantity_shipped or line.quantity - (line.quantity_canceled or 0)
    return line.quantity_shipped or 0


def _costs(lines: Sequence[OrderLine]) -> Mapping[int, Decimal]:
    """Cost of the shipped pieces at the rate of the order's day, negative; a line without cost or rate is missing."""
    known = costs_of((line.sku_id, line.order.ordered_on, "") for line in lines if line.sku_id)
    books: dict[date, RateBook] = {}
    costs: dict[int, Decimal] = {}
    for line in lines:
        day, currency = line.order.ordered_on, line.order.currency
        found = known.get((line.sku_id, day, "")) if line.sku_id else None
        if found is None:
            continue
        if found.currency != currency and day not in books:
            books[day] = rates_on(day)
        converted = books.get(day, RateBook({}, day)).convert(-found.total * _pieces(line), found.currency, currency)
        if converted:
            costs[line.pk] = converted.amount
    return costs
