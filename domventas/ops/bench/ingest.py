"""Bench `ingest`: order records become rows; ours beside the ORM row by row, bulk_create with conflicts, raw COPY.

All arms start from the same translated pages and write orders, lines, charges and buyers' contacts as the unprivileged
role behind all walls and keys; only the limit runs as ops, since COPY into a walled table is refused to others.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from django.db import connection

from domventas.ops.bench import data, dumps
from domventas.ops.bench import ingest_reference as reference
from domventas.ops.bench.plan import Arm, Bench, Done, Goal, Job, Timer
from marketplaces.connectors.amazon import orders as amazon
from marketplaces.models import Account
from marketplaces.port import RawPage
from marketplaces.records import OrderRecord
from orders.services.ingest import ingest

ORDERS = {"XS": 120, "S": 10_000, "M": 550_000, "L": 5_500_000}
#: Arms that would take hours work on this many of the first orders; their rates stand for the rest.
SAMPLE = {"XS": 40, "S": 300, "M": 300, "L": 300}
BULK = {"XS": 120, "S": 10_000, "M": 50_000, "L": 50_000}
#: Orders per call of ours: a page of the API, and a back-fill's, as a report of orders holds them.
PAGE, BATCH = 100, 10_000
#: In the variant `changed` every tenth order has been shipped since.
CHANGED = 10
TABLES = ("orders_order", "orders_orderline", "orders_ordercharge", "orders_buyercontact")

#: A hash of the money and states of the first orders, whatever their keys are.
FACTS = """
SELECT count(*), sum(('x' || left(md5(fact), 15))::bit(60)::bigint)
FROM (
    SELECT concat_ws('|', o.external_id, o.site_id, o.currency, o.status, o.stated_total, o.computed_total,
                     o.ordered_at, o.source_updated_at, l.external_id, l.sku_id, l.listing_id, l.quantity,
                     l.quantity_shipped, l.status, l.hold, l.ship_by, l.shipped_at, c.kind, c.amount) AS fact
    FROM orders_order AS o
    JOIN orders_orderline AS l ON l.order_id = o.id
    JOIN orders_ordercharge AS c ON c.line_id = l.id
    WHERE right(o.external_id, 7)::int < %s
) AS facts
"""


def seed(job: Job) -> Done:
    """The client and its listings; for re-ingests the orders too; for the limit the finished rows as files."""
    from domventas.core import tenancy

    client, _account = data.make_client()
    with tenancy.acting_for(client, actor="bench"):
        if job.variant != "cold":
            _store(ORDERS[job.size], BATCH, shipped_every=0, timer=job.timer)
            return Done(0, {})
        with dumps.rolled_back():
            _store(ORDERS[job.size], BATCH, shipped_every=0, timer=job.timer)
            for table in TABLES:
                dumps.write(table, job.folder / table)
    return Done(0, {})


def ours(job: Job) -> Done:
    """The product's ingest in batches as a back-fill makes them."""
    return _ours(job, BATCH, ORDERS[job.size])


def paged(job: Job) -> Done:
    """The product's ingest page by page as the API answers, a transaction each."""
    return _ours(job, PAGE, BULK[job.size])


def rows(job: Job) -> Done:
    """`update_or_create` of each row, a transaction per order, on a sample."""
    return _reference(job, SAMPLE[job.size], 1, reference.row_by_row)


def bulk(job: Job) -> Done:
    """`bulk_create(update_conflicts=True)`, 1,000 orders at once."""
    return _reference(job, BULK[job.size], 1_000, reference.in_bulk)


def copy(job: Job) -> Done:
    """The limit: finished rows with their keys, COPY into the same tables, nothing looked up or compared."""
    with job.timer:
        dumps.load([(table, job.folder / table) for table in TABLES])
    return Done(ORDERS[job.size], _checks(ORDERS[job.size], job))


def _ours(job: Job, size: int, orders: int) -> Done:
    count = _store(orders, size, shipped_every=CHANGED if job.variant == "changed" else 0, timer=job.timer)
    return Done(count, _checks(count, job), {"batch": size})


def _store(orders: int, size: int, *, shipped_every: int, timer: Timer) -> int:
    account, count = Account.objects.get(), 0
    for batch in _batches(orders, size, shipped_every):
        with timer:
            ingest(account, batch, now=data.NOW)
        count += len(batch)
    return count


def _reference(job: Job, orders: int, size: int, write: reference.Write) -> Done:
    known = reference.Known.load()
    for batch in _batches(orders, size, CHANGED if job.variant == "changed" else 0):
        with job.timer:
            write(batch, known)
    return Done(orders, _checks(orders, job), {"sample": orders, "batch": size})


def _batches(orders: int, size: int, shipped_every: int) -> Iterator[list[OrderRecord]]:
    records = (
        record
        for body in data.pages(orders, min(PAGE, orders), shipped_every=shipped_every)
        for record in amazon.translate(RawPage(body=body, content_type="application/json"))
        if isinstance(record, OrderRecord)
    )
    while batch := list(islice(records, size)):
        yield batch


def _checks(orders: int, job: Job) -> dict[str, str]:
    """Hashes of what every arm has stored, and of all if this one stored all."""
    found = {"sample": checksum(SAMPLE[job.size])}
    for name, count in (("bulk", BULK[job.size]), ("all", ORDERS[job.size])):
        if orders >= count:
            found[name] = checksum(count)
    return found


def checksum(orders: int) -> str:
    """Hash of the money and states of the first orders."""
    with connection.cursor() as cursor:
        cursor.execute(FACTS, [orders])
        return "|".join(map(str, cursor.fetchone()))


def bench(variant: str) -> Bench:
    """Variants: `cold` into empty tables, `noop` the same again, `changed` with a tenth of the orders shipped since."""
    arms: tuple[Arm, ...] = (
        Arm("ours", "ours", ours),
        Arm("bulk_create", "reference", bulk),
        Arm("update_or_create", "reference", rows),
        Arm("ours by page", "also", paged),
    )
    if variant == "cold":
        arms = (*arms, Arm("COPY as ops", "limit", copy))
    goals = {
        "cold": (Goal("bulk_create", "3"), Goal("update_or_create", "80"), Goal("COPY as ops", "0.5")),
        "noop": (Goal("bulk_create", "6"),),
        "changed": (Goal("bulk_create", "3"),),
    }
    return Bench(name="ingest", unit="orders", arms=arms, goals=goals[variant], seed=seed, no_rows=variant == "noop")
