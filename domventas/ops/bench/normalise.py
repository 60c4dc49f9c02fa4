"""Bench `normalise`: pages of the marketplace's API become order records; ours beside pydantic on the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from domventas.ops.bench import data
from domventas.ops.bench.plan import Arm, Bench, Done, Goal, Job
from marketplaces.connectors.amazon import orders as amazon
from marketplaces.port import RawPage
from marketplaces.records import OrderRecord

ORDERS = {"XS": 20, "S": 10_000, "M": 50_000, "L": 500_000}
PAGE = 100

Read = Callable[[bytes], list[OrderRecord]]


def ours(job: Job) -> Done:
    """The connector's own translation."""
    return _timed(job, _translate)


def pydantic(job: Job) -> Done:
    """Typed models of the payload, then the same records from them."""
    from domventas.ops.bench.normalise_pydantic import read

    return _timed(job, read)


def _translate(body: bytes) -> list[OrderRecord]:
    found = amazon.translate(RawPage(body=body, content_type="application/json"))
    return [record for record in found if isinstance(record, OrderRecord)]


def _timed(job: Job, read: Read) -> Done:
    digest, count, size = hashlib.sha256(), 0, 0
    for body in data.pages(ORDERS[job.size], PAGE, shipped_every=2):
        with job.timer:
            records = read(body)
        count, size = count + len(records), size + len(body)
        _update(digest.update, records)
    return Done(count, {"records": digest.hexdigest()}, {"bytes_per_order": size // count})


def _update(update: Callable[[bytes], None], records: Iterable[OrderRecord]) -> None:
    for record in records:
        kinds = sorted(kind.value for kind in record.total_kinds)  # a set's own order changes from run to run
        lines = [(line, [f"{charge.amount:f}" for charge in line.charges]) for line in record.lines]
        parts = (record.external_id, record.site, record.currency, record.ordered_at, record.updated_at, record.total,
                 kinds, record.fulfillment, record.is_business, record.buyer, lines)  # fmt: skip
        update(repr(parts).encode())


def bench(variant: str) -> Bench:
    """The bench; it has no variants and needs no database."""
    return Bench(
        name="normalise",
        unit="orders",
        arms=(Arm("ours", "ours", ours), Arm("pydantic", "reference", pydantic)),
        goals=(Goal("pydantic", "1.5"),),
        by_processor=True,
    )
