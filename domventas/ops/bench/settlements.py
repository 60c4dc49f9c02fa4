"""Bench `settlements`: files become booked lines with their order lines; beside the ORM, pandas and raw COPY.

The ORM loop and ours keep the result; pandas only computes it. The limit copies the finished rows and thinks nothing.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from django.db import connection

from domventas.core import tenancy
from domventas.ops.bench import base, data, dumps
from domventas.ops.bench import settlement_reference as reference
from domventas.ops.bench.plan import Arm, Bench, Done, Goal, Job
from finance.services.settlements import ingest
from marketplaces.connectors.amazon.settlement_file import parse_settlement
from marketplaces.models import Account

#: Where the lines begin: the header and the summary stand above them.
FIRST_ROW = 3
SAMPLE = {"XS": 30, "S": 1_000, "M": 2_000, "L": 2_000}
TABLES = ("finance_settlement", "finance_settlementline")

#: What pandas can tell, too: rows and cents, and of them those that found their order line.
SUMS = """
SELECT count(*), (sum(amount) * 100)::bigint, count(order_line_id),
       (sum(amount) FILTER (WHERE order_line_id IS NOT NULL) * 100)::bigint
FROM finance_settlementline
"""
#: A hash of all that was found out about the first rows of each settlement.
FACTS = """
SELECT count(*), sum(('x' || left(md5(concat_ws('|', s.settlement_ref, s.ordinal, s.raw_type, s.event, s.kind,
       s.money_class, s.amount, s.net_amount, s.tax_amount, s.currency, s.posted_at, s.order_ref, l.external_id,
       s.seller_sku, s.site, s.quantity, s.state)), 15))::bit(60)::bigint)
FROM finance_settlementline AS s LEFT JOIN orders_orderline AS l ON l.id = s.order_line_id
WHERE s.ordinal <= %s AND (%s OR s.settlement_ref = '70000000')
"""


def seed(job: Job) -> Done:
    """Orders, files, and for the limit the finished rows."""
    client, files = base.make(job.size, job.folder)
    with tenancy.acting_for(client, actor="bench"), dumps.rolled_back():
        _book(job, files)
        for table in TABLES:
            dumps.write(table, job.folder / table)
    return Done(0, {})


def ours(job: Job) -> Done:
    """The product's reader and its booking, file by file."""
    rows = _book(job, reference.files(job))
    return Done(rows, _checks(job))


def orm(job: Job) -> Done:
    """A loop over the rows with the ORM, on a sample."""
    account = Account.objects.get()
    with job.timer:
        count = reference.row_by_row(reference.files(job)[0], account, SAMPLE[job.size])
    return Done(count, {"sample": _sample(job)}, {"sample": count})


def pandas(job: Job) -> Done:
    """All files and all order lines in memory, merged; nothing is kept."""
    import_module("pandas")  # a second that is not its work
    with job.timer:
        rows, sums = reference.merged(reference.files(job))
    return Done(rows, {"sums": sums})


def copy(job: Job) -> Done:
    """The limit: finished rows, COPY into the same tables with all keys and indexes."""
    with job.timer:
        dumps.load([(table, job.folder / table) for table in TABLES])
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM finance_settlementline")
        (rows,) = cursor.fetchone()
    return Done(rows, _checks(job))


def _book(job: Job, files: list[Path]) -> int:
    account, rows = Account.objects.get(), 0
    for path in files:
        with job.timer:
            record = parse_settlement(path.read_bytes(), path.name)
            rows += ingest(account, record, raw_id=None, source="file", now=data.NOW).line_count
    return rows


def _checks(job: Job) -> dict[str, str]:
    return {"sums": _value(SUMS), "rows": _value(FACTS, [10**9, True]), "sample": _sample(job)}


def _sample(job: Job) -> str:
    return _value(FACTS, [SAMPLE[job.size] + FIRST_ROW - 1, False])


def _value(query: str, parameters: list[int | bool] | None = None) -> str:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return "|".join(map(str, cursor.fetchone()))


def bench(variant: str) -> Bench:
    """The bench; it has no variants."""
    return Bench(
        name="settlements",
        unit="rows",
        arms=(
            Arm("ours", "ours", ours),
            Arm("ORM", "reference", orm),
            Arm("pandas", "reference", pandas),
            Arm("COPY as ops", "limit", copy),
        ),
        goals=(Goal("ORM", "300"), Goal("COPY as ops", "0.4", ("M", "L")), Goal("pandas", "0.333")),
        seed=seed,
        rss_goal_mb=100,
    )
