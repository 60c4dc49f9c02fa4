"""Every bench works and its arms agree; how fast they are is not a matter for the suite."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from domventas.ops.bench import measure
from domventas.ops.bench.ingest import bench as ingest_bench

CASES = [
    ("normalise", ""),
    pytest.param("ingest", "cold", marks=pytest.mark.slow),  # the same arms as "noop" below
    pytest.param("ingest", "changed", marks=pytest.mark.slow),
    ("event", ""),
    ("settlements", ""),
    ("reconcile", "one"),
    pytest.param("reconcile", "full", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def tables(django_db_setup: None) -> str:
    """The database all tests are cloned from: with our tables, without a row."""
    from pytest_databases import template

    return template()


@pytest.mark.parametrize(("name", "variant"), CASES)
def test_a_bench_says_what_was_agreed_and_its_arms_agree(name: str, variant: str, tables: str) -> None:
    found = _bench(name, variant, tables)

    assert {"name", "size", "ours", "reference", "ratio", "rss_mb", "runs"} <= found.keys()
    assert (found["name"], found["variant"], found["size"], found["runs"]) == (name, variant, "XS", 1)
    assert found["ratio"] == pytest.approx(found["ours"] / found["reference"], rel=0.01)
    first, *others = found["arms"].values()
    assert first["units"] > 0
    assert first["checks"]
    for other in others:  # what both state is the same; each shares at least one result with ours
        assert first["checks"].items() & other["checks"].items()


def test_reading_the_same_orders_again_writes_no_row(tables: str) -> None:
    arms = _bench("ingest", "noop", tables)["arms"]

    assert arms["ours"]["rows"] == {"inserted": 0, "updated": 0, "deleted": 0}
    assert arms["bulk_create"]["rows"]["updated"] > 0  # so the counters do count


def test_arms_that_come_to_different_results_are_no_measure() -> None:
    one = {"checks": {"all": "1"}}
    other = {"checks": {"all": "2"}}

    with pytest.raises(measure.BenchFailed, match="all differs"):
        measure._agree({"ours": [one, one], "reference": [other]})


def test_a_missed_goal_is_named() -> None:
    run = {"seconds": 1.0, "cpu_seconds": 1.0, "units": 1, "rss_mb": 1, "rss_grown_mb": 1, "checks": {}, "extra": {}}
    bench = ingest_bench("noop")
    results = {arm.name: [{**run, "rate": 1.0, "rows": {"updated": 1}}] for arm in bench.arms}

    goals = measure.report(bench, measure.Order("S", "noop", 1), results)["goals"]

    assert [goal["met"] for goal in goals] == [False, False]


def test_a_variant_nobody_knows_is_refused() -> None:
    with pytest.raises(CommandError, match="cold, noop, changed"):
        call_command("bench", "ingest", variant="warm")


def _bench(name: str, variant: str, tables: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(
        "bench", name, size="XS", runs=1, variant=variant, base=tables, json=True, stdout=out, stderr=io.StringIO()
    )
    found: dict[str, Any] = json.loads(out.getvalue())
    return found
