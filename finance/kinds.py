"""Which kinds of money make up what a buyer pays, for the statements and pages that tell price, tax and fee apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from marketplaces.records import FeeKind

#: What a buyer pays without tax; seller-funded discounts reduce it.
PRICES: Final = (
    FeeKind.ITEM_PRICE,
    FeeKind.SHIPPING_PRICE,
    FeeKind.GIFT_WRAP_PRICE,
    FeeKind.SELLER_DISCOUNT,
    FeeKind.MARKETPLACE_DISCOUNT,
)
TAXES: Final = (FeeKind.ITEM_TAX, FeeKind.SHIPPING_TAX, FeeKind.GIFT_WRAP_TAX, FeeKind.DISCOUNT_TAX)
#: What is not part of the price of a piece, where a rule asks for a price band.
SHIPPING: Final = (FeeKind.SHIPPING_PRICE, FeeKind.SHIPPING_TAX, FeeKind.GIFT_WRAP_PRICE, FeeKind.GIFT_WRAP_TAX)

#: The names of these kinds as parameters of the statements.
KIND_PARAMS: Final[Mapping[str, list[str]]] = {
    "prices": [kind.value for kind in PRICES],
    "taxes": [kind.value for kind in TAXES],
    "shipping": [kind.value for kind in SHIPPING],
}

#: In which column of an account's balance an amount `r` of an order line stands [SQL, with these parameters].
BALANCE_COLUMN: Final = """CASE WHEN r.event = 'refund' THEN 'refunds'
                    WHEN r.kind = ANY(%(prices)s::text[] || %(taxes)s::text[]) THEN 'sales'
                    WHEN r.kind IN ('withheld_tax', 'withholding_tax') THEN 'withheld' ELSE 'fees' END"""
#: What is expected of it; where no rule tells, what was booked, so that our ignorance is never money owed [SQL].
BALANCE_AMOUNT: Final = "coalesce(r.expected, CASE WHEN r.verdict = 'no_rule' THEN r.actual END)"
