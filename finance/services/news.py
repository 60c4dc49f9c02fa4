"""What has come since the last reconciliation beside order lines: statements, bookings, decisions.

Rows carry a mark of their own instead of a time: what is committed late is seen late, but never missed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.backends.utils import CursorWrapper

TEMPORARY: Final = ("new_statements", "new_bookings", "new_decisions", "touched_settlements")

#: As they stand now; `version` tells whether somebody has changed them by the end of the run.
_GATHER: Final = (
    """
CREATE TEMP TABLE new_statements ON COMMIT DROP AS
SELECT id, xmin AS version FROM finance_settlement WHERE client_id = %(client)s AND NOT is_seen
""",
    """
CREATE TEMP TABLE new_bookings ON COMMIT DROP AS
SELECT id, xmin AS version, account_id, order_ref FROM finance_transaction WHERE client_id = %(client)s AND NOT is_seen
""",
    """
CREATE TEMP TABLE new_decisions ON COMMIT DROP AS
SELECT id, xmin AS version, line_id FROM finance_discrepancy WHERE client_id = %(client)s AND NOT is_seen
""",
    """
CREATE TEMP TABLE touched_settlements ON COMMIT DROP AS
SELECT id FROM new_statements
UNION SELECT settlement_id FROM finance_settlementline WHERE client_id = %(client)s AND state = 'new'
""",
    "ANALYZE new_statements",
    "ANALYZE new_bookings",
    "ANALYZE touched_settlements",
)

#: Rows somebody is changing at this moment stay as news for the next run, and nobody waits for anybody.
_SETTLE: Final = """
UPDATE {table} AS t SET is_seen = true{more}
WHERE t.client_id = %(client)s AND t.id IN (
    SELECT q.id FROM {table} AS q JOIN {news} AS n ON n.id = q.id AND n.version = q.xmin
    WHERE q.client_id = %(client)s FOR NO KEY UPDATE OF q SKIP LOCKED)
"""
_SETTLED: Final = (
    ("finance_settlement", "new_statements", ", seen_start = t.period_start, seen_end = t.period_end"),
    ("finance_transaction", "new_bookings", ""),
    ("finance_discrepancy", "new_decisions", ""),
)


def gather(cursor: CursorWrapper, params: Mapping[str, Any]) -> None:
    """Note what nobody has taken into account yet."""
    for statement in _GATHER:
        cursor.execute(statement, params)


def settle(cursor: CursorWrapper, params: Mapping[str, Any]) -> None:
    """Mark it as taken into account, unless it has changed meanwhile."""
    for table, news, more in _SETTLED:
        cursor.execute(_SETTLE.format(table=table, news=news, more=more), params)
