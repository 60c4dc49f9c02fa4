"""Runs the arms of a bench in turn, each in a process of its own, and holds the medians against the goals."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings

from domventas.core.errors import DomventasError
from domventas.ops.bench import databases
from domventas.ops.bench.plan import Arm, Bench, Job

Tell = Callable[[str], None]


class BenchFailed(DomventasError):
    """A run broke, or two arms came to different results: then no figure means anything."""

    message = "The bench failed."


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure. `base` is a database with our tables to start from; without one they are made first."""

    size: str
    variant: str
    runs: int
    base: str = ""


def measure(bench: Bench, order: Order, tell: Tell) -> dict[str, Any]:
    """All arms, alternated, `runs` times; what came out as one object. Raises: BenchFailed."""
    results: dict[str, list[dict[str, Any]]] = {arm.name: [] for arm in bench.arms}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        job = Job(order.size, order.variant, folder)
        base = stack.enter_context(_seeded(bench, job, order.base, tell)) if bench.seed else ""
        for number in range(order.runs):
            shift = number % len(bench.arms)
            for arm in (*bench.arms[shift:], *bench.arms[:shift]):  # nobody is always first
                with databases.fresh(base) if base else _nothing() as database:
                    result = child(bench.name, arm.name, job, database)
                results[arm.name].append(result)
                tell(f"run {number + 1}: {arm.name} {result['rate']:,.1f} {bench.unit}/s, {result['rss_mb']} MB")
    _agree(results)
    return report(bench, order, results)


@contextmanager
def _nothing() -> Iterator[str]:
    yield ""


@contextmanager
def _seeded(bench: Bench, job: Job, template: str, tell: Tell) -> Iterator[str]:
    with databases.fresh(template) as name:
        if not template:
            tell("tables")
            _call(["migrate", "--verbosity=0"], name)
        tell("data")
        child(bench.name, "seed", job, name)
        databases.analyze(name)
        yield name


def child(name: str, arm: str, job: Job, database: str) -> dict[str, Any]:
    """Run one arm in its own process and return what it said. Raises: BenchFailed: it broke."""
    words = ["bench", name, f"--size={job.size}", f"--variant={job.variant}", f"--arm={arm}", f"--folder={job.folder}"]
    said = _call(words, database)
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return found


def _call(words: list[str], database: str) -> str:
    environment = {**os.environ, **(databases.environment(database) if database else {})}
    done = subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchFailed(f"{' '.join(words)}:\n{done.stderr[-3000:]}")
    return done.stdout


def _agree(results: dict[str, list[dict[str, Any]]]) -> None:
    """Every arm in every run came to the same result. Raises: BenchFailed."""
    seen: dict[str, tuple[str, str]] = {}
    for arm, runs in results.items():
        for run in runs:
            for name, value in run["checks"].items():
                first, theirs = seen.setdefault(name, (arm, value))
                if theirs != value:
                    raise BenchFailed(f"{name} differs: {first} says {theirs}, {arm} says {value}")


def report(bench: Bench, order: Order, results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, spread, ratios and goals; rates are units per second."""
    arms = {arm.name: _summary(arm, results[arm.name]) for arm in bench.arms}
    ours, reference = bench.arms[0].name, bench.arms[1].name
    rate = arms[ours]["rate"]
    goals = [
        {"arm": goal.arm, "at_least": goal.factor, "ratio": round(ratio, 3), "met": ratio >= float(goal.factor)}
        for goal in bench.goals
        if order.size in goal.sizes
        for ratio in [rate / arms[goal.arm]["rate"]]
    ]
    grown = arms[ours]["rss_grown_mb"]
    if bench.rss_goal_mb is not None:
        goals.append({"rss_grown_mb": grown, "at_most": bench.rss_goal_mb, "met": grown <= bench.rss_goal_mb})
    if bench.no_rows:
        written = sum(arms[ours]["rows"].values())
        goals.append({"rows_written": written, "at_most": 0, "met": written == 0})
    return {
        "name": bench.name,
        "variant": order.variant,
        "size": order.size,
        "unit": f"{bench.unit}/s",
        "ours": rate,
        "reference": arms[reference]["rate"],
        "ratio": round(rate / arms[reference]["rate"], 3),
        "rss_mb": arms[ours]["rss_mb"],
        "runs": order.runs,
        "arms": arms,
        "goals": goals,
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
    }


def _summary(arm: Arm, runs: list[dict[str, Any]]) -> dict[str, Any]:
    rates = [run["rate"] for run in runs]
    return {
        "role": arm.role,
        "rate": _six_digits(statistics.median(rates)),
        "lowest": _six_digits(min(rates)),
        "highest": _six_digits(max(rates)),
        "units": runs[0]["units"],
        "seconds": round(statistics.median(run["seconds"] for run in runs), 4),
        "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in runs), 4),
        "rss_mb": max(run["rss_mb"] for run in runs),
        "rss_grown_mb": max(run["rss_grown_mb"] for run in runs),
        "rows": runs[0]["rows"],
        "checks": runs[0]["checks"],
        **runs[0]["extra"],
    }


def _six_digits(value: float) -> float:
    """Rates of slow arms are far below one: so many digits after the point would leave nothing of them."""
    return float(f"{value:.6g}")
