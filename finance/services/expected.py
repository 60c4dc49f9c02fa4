"""What a marketplace should book for the lines at hand: the order's own prices, and fees by the rules of its day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.backends.utils import CursorWrapper

from finance.services import expected_sql as sql
from finance.services import refund_sql
from finance.services.steps import rows_written, run


def expect(cursor: CursorWrapper, params: Mapping[str, Any]) -> int:
    """Fill `wanted` for the lines in `line_facts` and store what differs. Returns rows written or removed.

    A fixed number of statements, however many lines. Called inside the transaction that made the temporary tables.
    """
    run(cursor, params, sql.WANTED, sql.SALE_PRICES)
    # Even a few: taken for next to none, they would be compared one by one with the rules of every fee.
    cursor.execute("ANALYZE wanted (line_id, kind)")
    run(
        cursor,
        params,
        sql.SALE_FEES,
        "ANALYZE sale_fees",
        sql.FEES,
        sql.FEE_TAXES,
        refund_sql.PARTS,
        "ANALYZE refund_parts",
        "ANALYZE wanted",
        refund_sql.PRICES,
        refund_sql.FEES,
        sql.WITHHELD,
        sql.GAPS,
        "ANALYZE wanted",
    )
    return rows_written(cursor, params, sql.MERGE, sql.PRUNE)
