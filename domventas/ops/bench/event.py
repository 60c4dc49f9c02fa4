"""Bench `event`: one order that arrives by itself, as after a push from the marketplace; ours beside the ORM.

Both start from the marketplace's own words, translate them, and store one order in one transaction as the unprivileged
role behind all walls and keys. Every arm takes the same orders in turn: each once new, then once more when it has been
shipped. What is timed per order is the whole way from the bytes to the commit.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

from domventas.ops.bench import data
from domventas.ops.bench import ingest_reference as reference
from domventas.ops.bench.ingest import checksum
from domventas.ops.bench.plan import Arm, Bench, Done, Goal, Job
from marketplaces.connectors.amazon import orders as amazon
from marketplaces.loaders import LoadRun
from marketplaces.models import Account
from marketplaces.port import RawPage
from marketplaces.records import OrderRecord
from orders.loaders.orders import load

ORDERS = {"XS": 8, "S": 300, "M": 1_000, "L": 1_000}
#: Orders stored beforehand, so that nothing is measured on empty tables.
BASE = {"XS": 20, "S": 5_000, "M": 100_000, "L": 100_000}
WARM_UP = 5


def seed(job: Job) -> Done:
    """The client, its listings, and orders of before."""
    from domventas.core import tenancy

    client, account = data.make_client()
    with tenancy.acting_for(client, actor="bench"):
        for first in range(0, BASE[job.size], 2_000):
            count = min(2_000, BASE[job.size] - first)
            load(account, _records(data.page(first, count)), run=LoadRun(now=data.NOW, raw_id=None))
    return Done(0, {})


def ours(job: Job) -> Done:
    """The product's loader with a page of one order."""
    account = Account.objects.get()
    return _timed(job, lambda record: load(account, [record], run=LoadRun(now=data.NOW, raw_id=None)))


def orm(job: Job) -> Done:
    """`update_or_create` of the order, its lines, charges and contact in one transaction."""
    known = reference.Known.load()
    return _timed(job, lambda record: reference.row_by_row([record], known))


def _timed(job: Job, store: Callable[[OrderRecord], Any]) -> Done:
    taken: list[float] = []
    for number, body in enumerate(_bodies(job.size)):
        started = time.perf_counter()
        with job.timer if number >= WARM_UP else nullcontext():
            for record in _records(body):
                store(record)
        taken.append(time.perf_counter() - started)
    counted = sorted(taken[WARM_UP:])
    latency = {
        "median_ms": round(statistics.median(counted) * 1_000, 3),
        "p95_ms": round(counted[int(len(counted) * 0.95)] * 1_000, 3),
    }
    return Done(len(counted), {"all": checksum(BASE[job.size] + ORDERS[job.size])}, latency)


def _bodies(size: str) -> Iterator[bytes]:
    """Each order new, and some orders later the same one shipped."""
    first, count = BASE[size], ORDERS[size]
    for number in range(first, first + count):
        yield data.page(number, 1)
    for number in range(first, first + count):
        yield data.page(number, 1, shipped_every=1)


def _records(body: bytes) -> list[OrderRecord]:
    found = amazon.translate(RawPage(body=body, content_type="application/json"))
    return [record for record in found if isinstance(record, OrderRecord)]


def bench(variant: str) -> Bench:
    """The bench; it has no variants."""
    return Bench(
        name="event",
        unit="orders",
        arms=(Arm("ours", "ours", ours), Arm("update_or_create", "reference", orm)),
        goals=(Goal("update_or_create", "3"),),
        seed=seed,
    )
