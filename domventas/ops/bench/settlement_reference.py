"""The references of bench `settlements`: a loop of the ORM, and the script a finance department writes with pandas."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from django.db import connection

from domventas.ops.bench.data import NOW
from domventas.ops.bench.plan import Job
from finance.models import FeeRule, Settlement, SettlementLine
from finance.services.fee_kinds import KindBook
from marketplaces.models import Account
from orders.models import OrderLine

_CENT = Decimal("0.01")


def files(job: Job) -> list[Path]:
    """The settlement files in their order."""
    return sorted(job.folder.glob("settlement-*.txt"))


def row_by_row(path: Path, account: Account, limit: int) -> int:
    """Book the first rows of a file; meanings and tax rates are looked up once, so this is a fast loop of its kind."""
    book = KindBook.of_channel(account.channel)
    rates = dict(FeeRule.objects.filter(kind="referral_fee").values_list("site", "fee_tax_rate"))
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        head = next(reader)
        settlement, _ = Settlement.objects.get_or_create(
            account=account, settlement_ref=head["settlement-id"],
            defaults={"status": "loaded", "currency": head["currency"], "loaded_at": NOW,
                      "header_total": Decimal(head["total-amount"])},
        )  # fmt: skip
        count = 0
        for count, row in enumerate(islice(reader, limit), start=1):
            raw_type = "|".join((row["transaction-type"], row["amount-type"], row["amount-description"])).lower()
            _book(row, count + 2, settlement, account, raw_type, book, rates)
    return count


def _book(
    row: dict[str, str], ordinal: int, settlement: Settlement, account: Account, raw_type: str, book: KindBook,
    rates: dict[str, Decimal],
) -> None:  # fmt: skip
    meaning = book.meaning(raw_type)
    line = OrderLine.objects.filter(
        order__account=account, order__external_id=row["order-id"], external_id=row["order-item-code"]
    ).first()
    amount, site = Decimal(row["amount"]), row["marketplace-name"].lower()
    is_fee = meaning.kind.value == "referral_fee"
    net = (amount / (1 + rates[site])).quantize(_CENT, ROUND_HALF_UP) if is_fee else amount
    posted_at = datetime.strptime(row["posted-date-time"], "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
    SettlementLine.objects.get_or_create(
        settlement=settlement, line_key=f"{ordinal}",
        defaults={
            "account_id": account.pk, "settlement_ref": settlement.settlement_ref, "ordinal": ordinal,
            "raw_type": raw_type, "kind": meaning.kind.value,
            "event": meaning.event.value if meaning.event else "sale", "money_class": meaning.money_class.value,
            "amount": amount, "net_amount": net, "tax_amount": amount - net, "currency": settlement.currency,
            "posted_at": posted_at, "order_ref": row["order-id"], "order_line_ref": row["order-item-code"],
            "seller_sku": row["sku"], "site": site, "quantity": int(row["quantity-purchased"]),
            "description": row["amount-description"], "order_line": line, "state": "new" if line else "awaiting",
        },
    )  # fmt: skip


def merged(paths: list[Path]) -> tuple[int, str]:
    """Read all files and all order lines, merge them by order and line, sum in whole cents."""
    import pandas as pd

    wanted = ["order-id", "order-item-code", "amount-type", "amount-description", "amount", "sku"]
    parts = [pd.read_csv(path, sep="\t", usecols=wanted, dtype=str, skiprows=[1]) for path in paths]
    rows = pd.concat(parts, ignore_index=True)
    rows["cents"] = rows["amount"].str.replace(".", "", regex=False).astype("int64")
    lines: Any = pd.read_csv(io.BytesIO(_order_lines()), dtype=str)
    found = rows.merge(lines, how="left", on=["order-id", "order-item-code"])
    known = found[found["id"].notna()]
    return len(found), "|".join(
        str(int(value)) for value in (len(found), found["cents"].sum(), len(known), known["cents"].sum())
    )


def _order_lines() -> bytes:
    query = """COPY (SELECT o.external_id AS "order-id", l.external_id AS "order-item-code", l.id
               FROM orders_orderline AS l JOIN orders_order AS o ON o.id = l.order_id) TO STDOUT (FORMAT csv, HEADER)"""
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        return b"".join(copy)
