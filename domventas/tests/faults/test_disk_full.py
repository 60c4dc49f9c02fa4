"""The disk of the database fills up in the middle of an import."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from domventas.tests.faults import jobs
from domventas.tests.faults.world import World
from pytest_faults import RecordFault

pytestmark = pytest.mark.xdist_group("servers")
SIZE, PART = 64 * 2**20, 4000


@pytest.fixture
def small_disk(world: World) -> Iterator[Path]:
    """A disk of 64 MB for the table of imports."""
    if os.geteuid():
        pytest.skip("only root can mount a small disk")
    place = world.servers.place.data / "small"
    subprocess.run(["umount", "-l", place], capture_output=True, check=False)  # left by a run that was killed
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    inside = place / "space"
    inside.mkdir()
    world.servers.place.give(inside)
    world.servers.super_sql(f"CREATE TABLESPACE small LOCATION '{inside}'")
    world.servers.super_sql("ALTER TABLE fault_import SET TABLESPACE small")
    yield place
    world.servers.super_sql("ALTER TABLE fault_import SET TABLESPACE pg_default")
    world.servers.super_sql("DROP TABLESPACE small")
    subprocess.run(["umount", "-l", place], check=True)


@pytest.mark.scenario("B10", "The database's disk fills up in the middle of an import")
def test_a_full_disk_stops_what_writes_to_it_and_nothing_else(
    world: World, small_disk: Path, record_fault: RecordFault
) -> None:
    world.processes.have(workers=2, beats=1)
    before = [worker.pid for worker in world.processes.workers]
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * (SIZE - 5 * 2**20))
    world.fire("test.fault.fills")
    query = "SELECT count(*) FROM core_taskrun WHERE task LIKE '%%fills' AND note LIKE 'No room left%%'"
    noticed = world.wait(lambda: world.number(query) == 2)
    others = world.fire("test.fault.steps")
    world.wait(lambda: world.states("%steps") == {"done": others})  # these go on
    half = world.number(
        "SELECT count(*) FROM (SELECT FROM fault_import GROUP BY run_id, part HAVING count(*) <> 1000) x"
    )
    held = world.states("%fills")
    told = world.sql("SELECT note, errors FROM core_taskrun WHERE task LIKE '%%fills'")
    ballast.unlink()
    recovery = world.settle()
    rows = world.sql("SELECT count(*), count(DISTINCT (run_id, part)) FROM fault_import")[0]
    record_fault(
        "a tablespace of 64 MB filled to the last megabytes, two imports of 4 × 1,000 rows begun, then room made",
        half_imported_parts=half, told_after=noticed, others_done_meanwhile=others, recovery_after_freeing=recovery,
        restarts=0, lost=2 * PART - rows[0], doubled=max(0, rows[0] - 2 * PART),
    )  # fmt: skip
    assert half == 0 and held.keys() <= {"queued", "running"}
    assert all(errors == 0 for _, errors in told)
    assert world.states("%fills") == {"done": 2}
    assert rows == (2 * PART, 8)
    assert [worker.pid for worker in world.processes.workers if worker.poll() is None] == before
    assert jobs.STEPS == 3  # imported for its declarations
