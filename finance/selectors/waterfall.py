"""From what the buyer paid to what is left of one order line: the cash way, the margin way, and the bridge between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from domventas.core.money import total
from finance.kinds import KIND_PARAMS
from finance.models import ExpectedCharge, LineReconciliation, SettlementLine
from finance.selectors.costs import cost_of
from finance.selectors.rates import convert
from marketplaces.records import FeeKind, MoneyClass
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


def waterfall(line: OrderLine, *, is_tax_in_price: bool | None = None) -> Waterfall:
    """The expected way of one line beside the paid one, with the cost of the order's day.

    Args:
        is_tax_in_price: whether prices carry a tax that no charge states; default: no charge of the line states a tax
            and the marketplace taxes its own fees there.
    """
    judged = list(LineReconciliation.objects.filter(line=line))
    wanted = {(row.event, row.kind): row for row in ExpectedCharge.objects.filter(line=line)}
    nets = _paid_nets(line)
    cash = [
        Step(kind=row.kind, event=row.event, expected=row.expected, paid=row.actual)
        for row in sorted(judged, key=_order)
    ]
    hidden = _hides_tax(line, judged) if is_tax_in_price is None else is_tax_in_price
    profit = [step for step in cash if FeeKind(step.kind).money_class is MoneyClass.PROFIT]
    margin = [_net(step, wanted, nets, is_price_hidden=hidden) for step in profit]
    fee_tax = total(_fee_tax(step, wanted) for step in cash)
    withheld = sum((step.expected or NOTHING for step in cash if step.kind == FeeKind.WITHHELD_TAX), NOTHING)
    payout = total(step.expected for step in cash)
    output = (
        None if hidden else total(-(step.expected or NOTHING) for step in cash if step.kind in KIND_PARAMS["taxes"])
    )
    before = total(step.expected for step in margin)
    cost = _cost(line)
    unknown = [
        name
        for name, is_missing in (
            ("tax_in_price", hidden),
            ("fee", any(step.expected is None for step in cash)),
            ("cost", cost is None),
        )
        if is_missing
    ]
    return Waterfall(
        currency=line.order.currency, cash=cash, margin=margin, payout_expected=payout,
        payout_paid=total(step.paid for step in cash if step.paid is not None) if nets else None,
        output_tax=output, fee_tax=fee_tax, withheld_tax=withheld, before_cost=before, cost=cost,
        contribution=total((before, cost)), unknown=unknown,
    )  # fmt: skip


def _order(row: LineReconciliation) -> tuple[bool, int, str]:
    prices = KIND_PARAMS["prices"] + KIND_PARAMS["taxes"]
    return row.event != "sale", prices.index(row.kind) if row.kind in prices else len(prices), row.kind


def _paid_nets(line: OrderLine) -> dict[tuple[str, str], Decimal]:
    """What was booked without the tax inside, by event and kind."""
    nets: dict[tuple[str, str], Decimal] = {}
    rows = SettlementLine.objects.filter(order_line=line, reverses=None, reversed_in=None)
    for event, kind, net in rows.values_list("event", "kind", "net_amount"):
        nets[event, kind] = nets.get((event, kind), NOTHING) + net
    return nets


def _hides_tax(line: OrderLine, judged: Sequence[LineReconciliation]) -> bool:
    """Prices whose tax no charge states, where the marketplace puts the same tax on its fees."""
    states_tax = OrderCharge.objects.filter(line=line, kind__in=KIND_PARAMS["taxes"]).exists()
    return not states_tax and any(row.kind == FeeKind.REFERRAL_FEE_TAX for row in judged)


def _net(
    step: Step,
    wanted: dict[tuple[str, str], ExpectedCharge],
    nets: dict[tuple[str, str], Decimal],
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


def _fee_tax(step: Step, wanted: dict[tuple[str, str], ExpectedCharge]) -> Decimal | None:
    """Tax on fees in this step, to be claimed back: inside the fee's amount, or a line of its own."""
    if step.kind in {FeeKind.REFERRAL_FEE_TAX, FeeKind.OTHER_FEE_TAX}:
        return step.expected
    row = wanted.get((step.event, step.kind))
    if row is None or row.basis != ExpectedCharge.Basis.RULE:
        return None if row is not None and row.basis == ExpectedCharge.Basis.GAP else NOTHING
    return row.tax_amount or NOTHING


def _cost(line: OrderLine) -> Decimal | None:
    """Cost of the shipped pieces at the rate of the order's day, negative; None without a cost or a rate."""
    day = line.order.ordered_on
    found = cost_of(line.sku_id, day) if line.sku_id else None
    if found is None:
        return None
    pieces = line.quantity_shipped if line.quantity_shipped is not None else line.quantity
    converted = convert(-found.total * pieces, found.currency, line.order.currency, day=day)
    return converted.amount if converted else None
