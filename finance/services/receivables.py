"""What the marketplaces owe for what was shipped: one state per order line, told by evidence and payment terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.backends.utils import CursorWrapper

from finance.selectors.silent_sites import sites_without_statements
from finance.services import expected_sql as setup
from finance.services import receivable_sql as sql

TEMPORARY: Final = ("balances", "due_dates", "states")


def widen(cursor: CursorWrapper, params: Mapping[str, Any]) -> None:
    """Take in lines that are not finished, or that joined or left a run of equal deviations, beside those judged."""
    cursor.execute(sql.OPEN, params)
    cursor.execute("INSERT INTO dirty_lines SELECT line_id FROM touched_lines EXCEPT SELECT line_id FROM dirty_lines")
    cursor.execute("DROP TABLE line_facts")
    for statement in ("ANALYZE dirty_lines", setup.FACTS, "ANALYZE line_facts"):
        cursor.execute(statement, params)


def judge(cursor: CursorWrapper, params: Mapping[str, Any]) -> int:
    """Store the receivable of each shipped line in `line_facts`. Returns rows written or removed."""
    known = {**params, "without_statements": sites_without_statements()}
    for statement in (sql.BALANCES, sql.DATES, "ANALYZE balances", "ANALYZE due_dates", sql.STATES):
        cursor.execute(statement, known)
    cursor.execute(sql.MERGE, known)
    written = int(cursor.rowcount)
    cursor.execute(sql.PRUNE, known)
    return written + int(cursor.rowcount)
