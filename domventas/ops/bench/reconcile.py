"""Bench `reconcile`: what one more settlement costs on top of a big base, beside judging the whole base anew.

Both ways must end in the very same verdicts, line states, receivables and findings.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection

from domventas.core import tenancy
from domventas.ops.bench import base, data, dumps
from domventas.ops.bench import settlement_reference as reference
from domventas.ops.bench.plan import Arm, Bench, Done, Goal, Job
from finance.services.reconcile import reconcile
from finance.services.settlements import ingest
from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.models import Account

#: When the runs take place: the second one an hour after the first.
FIRST, SECOND = data.NOW, data.NOW + timedelta(hours=1)
#: Rows of the settlement that comes on top; at the small sizes it is what the other files leave.
LAST_ROWS = {"M": 5_000, "L": 5_000}
_HASH = "count(*) || '|' || coalesce(sum(('x' || left(md5(concat_ws('|', {})), 15))::bit(60)::bigint), 0)"
CHECKS = {
    "verdicts": (
        "finance_linereconciliation",
        "line_id, event, kind, expected, actual, difference, verdict, cause, group_key",
    ),
    "expected": ("finance_expectedcharge", "line_id, event, kind, amount, tax_amount, basis"),
    "states": ("finance_settlementline", "settlement_ref, ordinal, state, cause"),
    "receivables": ("finance_receivable", "line_id, state, expected_net, paid"),
    "findings": ("finance_discrepancy", "cause, kind, event, fingerprint, amount, state"),
}


def seed(job: Job) -> Done:
    """All settlements but the last one, booked and judged; the last one's file waits."""
    client, files = base.make(job.size, job.folder, last_rows=LAST_ROWS.get(job.size))
    with tenancy.acting_for(client, actor="bench"):
        for path in files[:-1]:
            _book(path.read_bytes(), path.name)
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")
        if job.variant == "one":
            reconcile(now=FIRST)
    return Done(0, {})


def one(job: Job) -> Done:
    """Book the last settlement and judge what it touches, where its neighbors are in memory as they are in daily life.

    A fresh clone has nothing in the server's memory. Judging everything reads it all anyway; this reads little.
    """
    path = reference.files(job)[-1]
    with dumps.rolled_back():
        _book(path.read_bytes(), path.name)
        reconcile(now=SECOND)
    with job.timer:
        rows = _book(path.read_bytes(), path.name)
        done = reconcile(now=SECOND)
    return Done(1, _checks(), {"settlement_rows": rows, "lines_judged": done.lines, "written": done.written})


def everything(job: Job) -> Done:
    """Judge the whole base anew, the last settlement with it; its booking is not counted."""
    path = reference.files(job)[-1]
    rows = _book(path.read_bytes(), path.name)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    with job.timer:
        done = reconcile(now=SECOND, full=True)
    return Done(1, _checks(), {"settlement_rows": rows, "lines_judged": done.lines, "written": done.written})


def again(job: Job) -> Done:
    """The whole base a second time, when nothing has changed: what remains is reading and comparing."""
    path = reference.files(job)[-1]
    _book(path.read_bytes(), path.name)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    reconcile(now=SECOND, full=True)
    with job.timer:
        done = reconcile(now=SECOND, full=True)
    return Done(1, _checks(), {"lines_judged": done.lines, "written": done.written})


def _book(body: bytes, name: str) -> int:
    record = parse_settlement(body, name)
    return ingest(Account.objects.get(), record, raw_id=None, source="file", now=data.NOW).line_count


def _checks() -> dict[str, str]:
    found = {}
    with connection.cursor() as cursor:
        for name, (table, columns) in CHECKS.items():
            cursor.execute(f"SELECT {_HASH.format(columns)} FROM {table}")
            found[name] = cursor.fetchone()[0]
    return found


def bench(variant: str) -> Bench:
    """Variants: `one` settlement on a base that has been judged; `full`: a base nobody has judged yet."""
    if variant == "full":
        arms = (Arm("first", "ours", everything), Arm("again", "reference", again))
        return Bench(name="reconcile", unit="runs", arms=arms, goals=(), seed=seed)
    return Bench(
        name="reconcile",
        unit="runs",
        arms=(Arm("one settlement", "ours", one), Arm("everything", "reference", everything)),
        goals=(Goal("everything", "200", ("M", "L")),),
        seed=seed,
    )
