"""Statements of Otto as somebody fills them in, for tests: two pieces sold, one commission, and the base fee."""

from __future__ import annotations

from decimal import Decimal

COLUMNS = (
    "record", "statement", "period_from", "period_until", "paid_on", "currency", "order", "order_number",
    "position_item", "sku", "event", "kind", "booked_at", "quantity", "net", "vat", "gross", "rows", "text",
)  # fmt: skip

#: order, piece, event, kind, net, VAT: 119.00 − 17.85 + 238.00 − 118.88 = 220.27.
Booking = tuple[str, str, str, str, str, str]
ROWS: tuple[Booking, ...] = (
    ("O-1", "P-1", "sale", "item_price", "100.00", "19.00"),
    ("O-1", "P-1", "sale", "commission", "-15.00", "-2.85"),
    ("O-2", "P-2", "sale", "item_price", "200.00", "38.00"),
    ("", "", "account", "base_fee", "-99.90", "-18.98"),
)
TOTAL = "220.27"


def gross_of(rows: tuple[Booking, ...]) -> Decimal:
    """Net and VAT of all rows."""
    return sum((Decimal(row[4]) + Decimal(row[5]) for row in rows), Decimal(0))


def statement(
    rows: tuple[Booking, ...] = ROWS,
    total: str = "",
    *,
    count: str = "",
    footer: str = "",
    separator: str = ";",
    ref: str = "OM-7-2026-W43",
    text: str = "",
    period: tuple[str, str] = ("2026-10-19", "2026-10-26"),
    extra: tuple[str, ...] = (),
) -> str:
    """A whole file; what is not given follows from the rows."""
    columns = [*COLUMNS, *extra]
    real = f"{gross_of(rows):f}"
    head = {
        "record": "header", "statement": ref, "period_from": period[0], "period_until": period[1],
        "paid_on": "2026-10-28", "currency": "EUR", "gross": total or real,
    }  # fmt: skip
    body = [
        {
            "record": "line", "order": order, "position_item": piece, "sku": f"SKU-{piece}" if piece else "",
            "event": event, "kind": kind, "booked_at": "2026-10-20T09:00:00Z", "quantity": "1" if piece else "",
            "net": net, "vat": vat, "gross": f"{Decimal(net) + Decimal(vat):f}", "text": text,
            **dict.fromkeys(extra, "x"),
        }
        for order, piece, event, kind, net, vat in rows
    ]  # fmt: skip
    last = {"record": "footer", "gross": footer or real, "rows": count or str(len(rows))}
    lines = [separator.join(columns)]
    lines += [separator.join(row.get(name, "") for name in columns) for row in (head, *body, last)]
    return "\n".join(lines) + "\n"


def comma(text: str) -> str:
    """The same file with decimal commas."""
    amounts = {cell for line in text.splitlines() for cell in line.split(";")[14:17] if "." in cell}
    for amount in sorted(amounts, key=len, reverse=True):
        text = text.replace(f";{amount};", f";{amount.replace('.', ',')};")
        text = text.replace(f";{amount};", f";{amount.replace('.', ',')};")
    return text
