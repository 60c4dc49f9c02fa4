"""What the marketplaces owe for what was shipped: one state per order line, told by evidence and payment terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.backends.utils import CursorWrapper

from finance.services import expected_sql as setup
from finance.services import receivable_sql as sql

TEMPORARY: Final = ("balances", "due_dates", "states")


def widen(cursor: CursorWrapper, params: Mapping[str, Any]) -> None:
    """Take in lines moved by time or news, or that joined or left a run of equal deviations, beside those judged."""
    added = 0
    for statement in (sql.OPEN, sql.REGROUPED) if not params["full"] else ():
        cursor.execute(statement, params)
        added += int(cursor.rowcount)
    if added:
        for statement in ("DROP TABLE line_facts", "ANALYZE dirty_lines", setup.FACTS, "ANALYZE line_facts"):
            cursor.execute(statement, params)


def judge(cursor: CursorWrapper, params: Mapping[str, Any]) -> int:
    """Store the receivable of each shipped line in `line_facts`. Returns rows written or removed."""
    for statement in (sql.BALANCES, sql.DATES, "ANALYZE balances", "ANALYZE due_dates", sql.STATES):
        cursor.execute(statement, params)
    cursor.execute(sql.MERGE, params)
    written = int(cursor.rowcount)
    cursor.execute(sql.PRUNE, params)
    return written + int(cursor.rowcount)
