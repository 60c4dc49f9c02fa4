"""The inside of a child process: one arm, its time, its memory and the rows it wrote."""

from __future__ import annotations

import os
import resource
import sys
from contextlib import ExitStack
from typing import Any

import psycopg

from domventas.core import tenancy
from domventas.ops.bench import databases
from domventas.ops.bench.data import CLIENT
from domventas.ops.bench.plan import Bench, Job


def run(bench: Bench, arm_name: str, job: Job) -> dict[str, Any]:
    """Run one arm (or `seed`) as the bench's client; times are seconds, memory is MB."""
    if arm_name == "seed" and bench.seed:
        bench.seed(job)
        return {}
    arm = next(arm for arm in bench.arms if arm.name == arm_name)
    before = _peak_mb()
    with ExitStack() as stack:
        if bench.seed:
            _be_client(stack)
            with psycopg.connect(os.environ["DATABASE_OPS_URL"], autocommit=True) as watcher:
                started = databases.rows_written(watcher)
        done = arm.run(job)
    rows = {}
    if bench.seed:
        from django.db import connections

        connections.close_all()  # a session hands in its counters when it ends
        with psycopg.connect(os.environ["DATABASE_OPS_URL"], autocommit=True) as watcher:
            after = databases.rows_written(watcher)
        rows = {name: after[name] - started[name] for name in after}
    return {
        "units": done.units,
        "seconds": job.timer.seconds,
        "cpu_seconds": job.timer.cpu_seconds,
        "rate": done.units / (job.timer.cpu_seconds if bench.by_processor else job.timer.seconds),
        "rss_mb": _peak_mb(),
        "rss_grown_mb": _peak_mb() - before,
        "rows": rows,
        "checks": dict(done.checks),
        "extra": dict(done.extra),
    }


def _be_client(stack: ExitStack) -> None:
    from domventas.core.models import Client

    client = Client.objects.filter(slug=CLIENT).first()
    if client:
        stack.enter_context(tenancy.acting_for(client, actor="bench"))


def _peak_mb() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)
