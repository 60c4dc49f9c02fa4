"""What a line is worth and costs when nobody makes a mistake: prices, taxes, fees, and their part in a refund."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Line, Order
from .places import SITES, fba_unit_cents, fee_tax_cents, half_up, referral_cents, sale_day, tax_inside


@dataclass(frozen=True, slots=True, kw_only=True)
class LineAmounts:
    """Positive cents of a whole line; net and tax apart. `discount` is what the seller gave away."""

    principal: int
    tax: int
    shipping: int
    shipping_tax: int
    discount: int
    discount_tax: int

    @property
    def gross(self) -> int:
        """What the buyer pays for the line, tax included."""
        net = self.principal + self.shipping - self.discount
        return net + self.tax + self.shipping_tax - self.discount_tax


def line_amounts(order: Order, line: Line, quantity: int | None = None) -> LineAmounts:
    """The line's amounts; with `quantity` only that part of the goods, without shipping."""
    part = line.quantity if quantity is None else quantity
    price = line.price_cents
    shipping = line.shipping_cents if quantity is None else 0
    if SITES[order.site].tax_included:
        tax, discount_tax = tax_inside(order.site, price), tax_inside(order.site, line.discount_cents)
        shipping_tax = tax_inside(order.site, shipping)
        principal, discount = price - tax, line.discount_cents - discount_tax
    else:
        principal, discount, discount_tax, shipping_tax = price, line.discount_cents, 0, 0
        tax = half_up((price - discount) * SITES[order.site].vat_percent, 100)
    return LineAmounts(
        principal=half_up(principal * part, line.quantity),
        tax=half_up(tax * part, line.quantity),
        shipping=shipping - shipping_tax,
        shipping_tax=shipping_tax,
        discount=half_up(discount * part, line.quantity),
        discount_tax=half_up(discount_tax * part, line.quantity),
    )


def referral(order: Order, line: Line, amounts: LineAmounts) -> int:
    """Referral fee before tax: on the gross amount, in the United States on the amount without tax."""
    basis = amounts.gross - (0 if SITES[order.site].tax_included else amounts.tax)
    return referral_cents(order.site, line.product.category, basis, sale_day(order.site, order.created_at))


def with_tax(site: str, fee: int) -> int:
    """The fee as one amount with the marketplace's tax on it."""
    return fee + fee_tax_cents(site, fee)


def fulfillment(order: Order, line: Line) -> int:
    """Amazon's fulfillment fee of the line before tax; 0 where the seller ships."""
    if order.fulfilled_by != "AMAZON":
        return 0
    return fba_unit_cents(order.site, line.product.weight_g) * line.quantity
