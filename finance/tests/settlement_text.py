"""Settlement files of every dialect, for tests: the same three orders, however they are written."""

from __future__ import annotations

V2 = [
    "settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date", "total-amount",
    "currency", "transaction-type", "order-id", "merchant-order-id", "adjustment-id", "shipment-id",
    "marketplace-name", "amount-type", "amount-description", "amount", "fulfillment-id", "posted-date",
    "posted-date-time", "order-item-code", "merchant-order-item-id", "merchant-adjustment-item-id", "sku",
    "quantity-purchased", "promotion-id",
]  # fmt: skip
V1 = [
    "settlement-id", "settlement-start-date", "settlement-end-date", "deposit-date", "total-amount",
    "currency", "transaction-type", "order-id", "merchant-order-id", "adjustment-id", "shipment-id",
    "marketplace-name", "shipment-fee-type", "shipment-fee-amount", "order-fee-type", "order-fee-amount",
    "fulfillment-id", "posted-date", "order-item-code", "merchant-order-item-id",
    "merchant-adjustment-item-id", "sku", "quantity-purchased", "price-type", "price-amount",
    "item-related-fee-type", "item-related-fee-amount", "misc-fee-amount", "other-fee-amount",
    "other-fee-reason-description", "promotion-id", "promotion-type", "promotion-amount",
    "direct-payment-type", "direct-payment-amount", "other-amount",
]  # fmt: skip
PROMOTION = {"promotion-id", "promotion-type", "promotion-amount"}

#: order, item, type, words, amount: 41.85 − 8.89 + 20.00 − 46.41 = 6.55.
ROWS = (
    ("302-1", "L1", "ItemPrice", "Principal", "41.85"),
    ("302-1", "L1", "ItemFees", "Commission", "-8.89"),
    ("302-2", "L2", "ItemPrice", "Principal", "20.00"),
    ("", "", "other-transaction", "Subscription Fee", "-46.41"),
)
TOTAL = "6.55"
HEADER = {
    "settlement-id": "19284",
    "settlement-start-date": "2026-10-19 00:00:00 UTC",
    "settlement-end-date": "2026-10-26 00:00:00 UTC",
    "deposit-date": "2026-10-28 00:00:00 UTC",
    "currency": "EUR",
}
Amounts = tuple[tuple[str, str, str, str, str], ...]


def table(columns: list[str], rows: list[dict[str, str]]) -> str:
    """Tab separated, the header first."""
    lines = ["\t".join(columns), *("\t".join(row.get(name, "") for name in columns) for row in rows)]
    return "\n".join(lines) + "\n"


def v2(rows: Amounts = ROWS, total: str = TOTAL, *, extra: tuple[str, ...] = (), promotion: str = "") -> str:
    """The second version with its 24 columns."""
    summary = {**HEADER, "total-amount": total}
    body = [
        {
            "settlement-id": "19284",
            "transaction-type": "Order" if order else "other-transaction",
            "order-id": order,
            "marketplace-name": "Amazon.de" if order else "",
            "amount-type": kind,
            "amount-description": words,
            "amount": amount,
            "posted-date": "2026-10-20",
            "posted-date-time": "2026-10-20 09:00:00 UTC",
            "order-item-code": item,
            "sku": f"SKU-{item}" if item else "",
            "quantity-purchased": "1" if order else "",
            "promotion-id": promotion if order else "",
            **dict.fromkeys(extra, "x"),
        }
        for order, item, kind, words, amount in rows
    ]
    return table([*V2, *extra], [summary, *body])


def v1(*, promotions: bool) -> str:
    """The first version: 36 columns, or 33 in a period without promotions."""
    columns = [name for name in V1 if promotions or name not in PROMOTION]
    body = []
    for order, item, kind, words, amount in ROWS:
        row = {
            "settlement-id": "19284",
            "transaction-type": "Order" if order else words,
            "order-id": order,
            "marketplace-name": "Amazon.de" if order else "",
            "posted-date": "2026-10-20T09:00:00+00:00",
            "order-item-code": item,
            "sku": f"SKU-{item}" if item else "",
        }
        place = {
            "ItemPrice": ("price-type", "price-amount"),
            "ItemFees": ("item-related-fee-type", "item-related-fee-amount"),
        }.get(kind)
        body.append({**row, place[0]: words, place[1]: amount} if place else {**row, "other-amount": amount})
    return table(columns, [{**HEADER, "total-amount": TOTAL}, *body])


def comma(text: str) -> str:
    """The same file as a seller in Germany gets it: decimal commas and days first."""
    for amount in (TOTAL, *(row[4] for row in ROWS)):
        text = text.replace(f"\t{amount}\t", f"\t{amount.replace('.', ',')}\t")
    for year_first, day_first in (("2026-10-19 ", "19.10.2026 "), ("2026-10-26 ", "26.10.2026 ")):
        text = text.replace(year_first, day_first)
    return text.replace("2026-10-28 ", "28.10.2026 ").replace("2026-10-20 09", "20.10.2026 09")
