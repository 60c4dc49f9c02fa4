"""What the marketplaces owe for what was shipped: one state per order line, told by evidence and payment terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.backends.utils import CursorWrapper

from finance.services import expected_sql as setup
from finance.services import receivable_sql as sql
from finance.services.steps import FEW, rows_written, run

TEMPORARY: Final = ("balances", "due_dates", "states")


def widen(cursor: CursorWrapper, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take in lines moved by time or news, or that joined or left a run of equal deviations, beside those judged.

    Returns: the parameters, which may now stand for many lines.
    """
    if params["full"] or not (added := rows_written(cursor, params, sql.OPEN, sql.REGROUPED)):
        return params
    params = {**params, "few": params["few"] and added <= FEW}
    run(cursor, params, "ANALYZE dirty_lines", setup.MORE_FACTS, "ANALYZE line_facts")
    return params


def judge(cursor: CursorWrapper, params: Mapping[str, Any]) -> int:
    """Store the receivable of each shipped line in `line_facts`. Returns rows written or removed."""
    run(cursor, params, sql.BALANCES, sql.DATES, "ANALYZE balances", "ANALYZE due_dates", sql.STATES)
    return rows_written(cursor, params, sql.MERGE, sql.PRUNE)
