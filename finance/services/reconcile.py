"""Holding what was paid against what was expected: every line gets a verdict, every deviation a cause.

Works on sets: only what changed since the last run is judged again, unless everything is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from domventas.core import partitions, tenancy
from domventas.core.money import minor_units
from finance.kinds import KIND_PARAMS
from finance.models import (
    DeviationSum,
    Discrepancy,
    ExpectedCharge,
    LineReconciliation,
    Receivable,
    ReconcileMark,
    SettlementLine,
    Transaction,
)
from finance.selectors.silent_sites import sites_without_statements
from finance.services import deviation_sql as sums
from finance.services import discrepancies, news, receivables
from finance.services import expected_sql as setup
from finance.services import reconcile_sql as sql
from finance.services.expected import expect
from finance.services.settlement_lines import resolve_awaiting
from finance.services.settlement_log import materialize_waiting
from finance.services.settlements import arrive
from finance.services.statistics import AS_EVER, LOOK_UP
from finance.services.steps import FEW, rows_written, run
from orders.models import Order, OrderCharge, OrderLine

#: Tables that are joined line by line: uncounted, the planner reads one of them whole for each line.
_JOINED: Final = (Order, OrderLine, OrderCharge, SettlementLine, Transaction, Discrepancy, Receivable)
#: Lines written shortly before the last run may have been committed after it looked.
OVERLAP: Final = timedelta(hours=1)
#: From this many equal deviations on, a changed rate is likelier than as many mistakes.
RUN: Final = 20
#: Marketplaces move rates in steps of half a percentage point.
STEP: Final = Decimal("0.005")
#: How far a fee may be from the moved rate and still belong to it [minor units]: one rounding on each side.
SLACK: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What one run did: rows written or removed by what they are; nothing changed means all are 0."""

    lines: int = 0
    resolved: int = 0
    expected: int = 0
    verdicts: int = 0
    states: int = 0
    receivables: int = 0
    discrepancies: int = 0

    @property
    def written(self) -> int:
        """Rows changed in all tables."""
        return sum(asdict(self).values()) - self.lines


def reconcile(*, now: datetime, since: datetime | None = None, full: bool = False) -> Reconciled:
    """Judge the acting client's order lines and settlement lines that are new or changed; all of them with `full`.

    What a run costs follows what is new since the last one, not what there is. Rules that changed since then make it a
    full one. Opens a transaction.

    Args:
        since: order lines changed at or after this moment; default where the last run ended. What lies between waits
            for the next run.
        now: decides what is due and overdue.
    """
    arrive(now=now)
    materialize_waiting(now=now)
    before = ReconcileMark.objects.only("lines_until").first()
    resolved = resolve_awaiting(since=None if full or before is None else _since(before))
    partitions.count_if_grown(*_JOINED)
    with transaction.atomic(), connection.cursor() as cursor:
        client = tenancy.current().one
        mark = ReconcileMark.objects.select_for_update().get_or_create()[0]
        params: dict[str, Any] = {
            "client": client, "full": full, "now": now, "today": now.astimezone(UTC).date(),
            "without_statements": sorted(sites_without_statements()),
        }  # fmt: skip
        moved = _moved(cursor, params, mark)
        params |= {
            **KIND_PARAMS,
            # Every currency there is: to ask which ones the orders have would read all of them.
            "currencies": list(minor_units()), "minor_units": list(minor_units().values()),
            "full": full or any(moved[name] != getattr(mark, name) for name in ("rules_digest", "tax_collectors")),
            "since": since or _since(mark) or datetime.min.replace(tzinfo=UTC),
            "collectors": moved["tax_collectors"],
            "run": RUN, "step": STEP, "slack": SLACK,
        }  # fmt: skip
        done = _judge(cursor, params)
        if since and not params["full"] and since > (_since(mark) or since):
            moved["lines_until"] = mark.lines_until
        _remember(mark, moved)
        return Reconciled(resolved=resolved, **done)


def _judge(cursor: CursorWrapper, params: Mapping[str, Any]) -> dict[str, int]:
    """All steps in order; the temporary tables hand the lines from one to the next."""
    drop_temporary(cursor)
    if not params["full"]:
        cursor.execute(LOOK_UP)
    done: dict[str, int] = {}
    news.gather(cursor, params)
    cursor.execute(setup.DIRTY, params)
    cursor.execute("SELECT count(*) FROM dirty_lines")
    done["lines"] = cursor.fetchone()[0]
    params = {**params, "few": done["lines"] <= FEW}
    run(cursor, params, "ANALYZE dirty_lines", setup.FACTS)
    cursor.execute("ANALYZE line_facts")
    run(cursor, params, setup.PAID, "ANALYZE paid")
    had_gaps = params["full"] or _is(cursor, sql.HAS_GAPS, params)
    done["expected"] = expect(cursor, params)
    has_gaps = had_gaps or _is(cursor, sql.HAS_GAPS, params)
    run(cursor, params, sql.JUDGED, sql.TAX_FOLLOWS_FEE, "ANALYZE judged", sums.BEFORE)
    done["verdicts"] = rows_written(cursor, params, sql.MERGE, sql.PRUNE)
    partitions.count_if_grown(ExpectedCharge, LineReconciliation)
    done["verdicts"] += _add_up(cursor, params)
    params = receivables.widen(cursor, params)
    done["states"] = rows_written(
        cursor, params, sql.LINE_STATES, sql.ACCOUNT_STATES, *([sql.RULE_GAPS] if has_gaps else [])
    )
    done["receivables"] = receivables.judge(cursor, params)
    done["discrepancies"] = discrepancies.find(cursor, params)
    news.settle(cursor, params)
    cursor.execute(AS_EVER)
    drop_temporary(cursor)
    return done


def _add_up(cursor: CursorWrapper, params: Mapping[str, Any]) -> int:
    """Bring the sums of deviations up to date, and tell lines that joined or left a run. Returns how many were told."""
    if run(cursor, params, sql.TOUCHED, sums.TOUCHED, sums.LOST) or params["full"]:
        run(cursor, params, "ANALYZE sums_lost", sums.REBUILD)
    partitions.count_if_grown(DeviationSum)
    flipped = run(cursor, params, sums.ADD, "ANALYZE touched_sums", sums.FLIP)
    return rows_written(cursor, params, *([sums.REGROUP_FLIPPED] if flipped else []), sums.REGROUP)


def _is(cursor: CursorWrapper, question: str, params: Mapping[str, Any]) -> bool:
    cursor.execute(question, params)
    return bool(cursor.fetchone()[0])


def drop_temporary(cursor: CursorWrapper) -> None:
    """Remove the temporary tables of a run, so that another may follow in the same transaction."""
    names = (*news.TEMPORARY, *setup.TEMPORARY, *receivables.TEMPORARY, *discrepancies.TEMPORARY)
    cursor.execute(f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{name}' for name in names)}")


def _moved(cursor: CursorWrapper, params: Mapping[str, Any], mark: ReconcileMark) -> dict[str, Any]:
    """What the mark should say after this run."""
    cursor.execute(sql.RULES_DIGEST, params)
    digest = cursor.fetchone()[0]
    cursor.execute(sql.SEEN_UNTIL, params)
    seen = cursor.fetchone()[0]
    cursor.execute(sql.COLLECTORS, params)
    collectors = sorted({*mark.tax_collectors, *(row[0] for row in cursor.fetchall())})
    return {"rules_digest": digest, "lines_until": seen, "tax_collectors": collectors}


def _since(mark: ReconcileMark) -> datetime | None:
    """From where on order lines count as changed; None before the first run."""
    return mark.lines_until - OVERLAP if mark.lines_until else None


def _remember(mark: ReconcileMark, moved: Mapping[str, Any]) -> None:
    changed = [name for name, value in moved.items() if getattr(mark, name) != value]
    if changed:
        for name in changed:
            setattr(mark, name, moved[name])
        mark.save(update_fields=changed)
