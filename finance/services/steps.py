"""Running the statements of a reconciliation, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.backends.utils import CursorWrapper

#: Up to so many lines the planner does well by the size of a temporary table alone; to count each of them takes longer
#: than it saves.
FEW: Final = 20_000


def run(cursor: CursorWrapper, params: Mapping[str, Any], *statements: str) -> int:
    """Run them all; `ANALYZE` only where there is much to plan for. Returns rows the last one changed."""
    for statement in statements:
        if not (params["few"] and statement.startswith("ANALYZE")):
            cursor.execute(statement, params)
    return max(int(cursor.rowcount), 0)


def rows_written(cursor: CursorWrapper, params: Mapping[str, Any], *statements: str) -> int:
    """Run statements that write into our tables; how many rows they changed."""
    return sum(run(cursor, params, statement) for statement in statements)
