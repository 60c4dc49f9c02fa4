"""Work that takes too long, hangs, or comes back from the dead; and workers that are asked to leave."""

from __future__ import annotations

import os
import signal
import time

import pytest

from domventas.tests.faults import jobs
from domventas.tests.faults.world import World
from pytest_faults import RecordFault

pytestmark = pytest.mark.xdist_group("servers")
CUT_RUN = """
SELECT count(pg_terminate_backend(l.pid)) FROM core_taskrun r JOIN pg_locks l ON l.locktype = 'advisory'
    AND l.objid::bigint = hashtextextended('run:' || r.id, 0) & 4294967295 WHERE r.task LIKE %s AND r.state = 'running'
"""


def of(world: World, job: str) -> tuple[set[int], set[str]]:
    """Starts and states of the runs of a job."""
    found = world.sql("SELECT attempt, state FROM core_taskrun WHERE task = %s", f"test.fault.{job}")
    return {row[0] for row in found}, {row[1] for row in found}


def words(found: tuple[set[int], set[str]]) -> str:
    starts, states = found
    return f"{' or '.join(sorted(states))} after {' or '.join(map(str, sorted(starts)))} starts"


@pytest.mark.scenario("B3", "Tasks run over their soft limit, over their hard limit, and longer than the broker waits")
def test_limits_end_what_must_end_and_nothing_else(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=2, beats=1)
    for job in ("soft", "hard", "long"):
        world.fire(f"test.fault.{job}")
    took = world.settle()
    soft, hard, long = of(world, "soft"), of(world, "hard"), of(world, "long")
    note = world.sql("SELECT note FROM core_taskrun WHERE task LIKE %s", "%hard")[0][0]
    record_fault(
        "a task of 3 × 0.6 s with 1 s allowed; one that ignores its soft limit; one of 4 s while the broker waits 3 s",
        soft=words(soft), hard=words(hard),
        long=words(long), took=took, doubled=world.doubled(),
    )  # fmt: skip
    assert soft[1] == {"done"} and soft[0] <= {2, 3}
    assert hard == ({3}, {"quarantined"}) and "time limit" in note
    assert long == ({1}, {"done"})
    assert world.doubled() == 0 and world.lost(3, "%soft") == 0 and world.lost(1, "%long") == 0


@pytest.mark.fault
@pytest.mark.scenario("B3b", "A child hangs and its main process is frozen, so that nobody enforces the hard limit")
def test_the_sweeper_cuts_the_session_of_a_run_nobody_ends(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=1, beats=1)
    frozen = world.processes.workers[0]
    world.fire("test.fault.hard")
    world.wait(lambda: world.states()["running"] == 2)
    os.kill(frozen.pid, signal.SIGSTOP)
    begun, before = time.monotonic(), world.attempts()
    assert world.states()["running"] == 2  # both hang in children that nobody ends
    world.processes.worker()
    world.wait(lambda: world.attempts() > before)
    record_fault(
        "SIGSTOP to the main process of a worker whose children hang; hard limit 2 s, grace 1 s",
        next_start_after=f"{time.monotonic() - begun:.1f} s",
    )
    world.processes.close()


@pytest.mark.scenario("B3c", "A run's session is cut, another attempt begins, and the first comes back to write")
def test_a_zombie_writes_nothing(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=2, beats=1)
    world.fire("test.fault.zombie")
    world.wait(lambda: world.states()["running"] == 2)
    cut = world.number(CUT_RUN, "%zombie")
    world.settle()
    time.sleep(1)  # the first attempt would have written by now
    attempts = sorted(row[0] for row in world.sql("SELECT attempt FROM fault_effect"))
    record_fault(
        f"{cut} sessions cut while their bodies go on with a fresh connection",
        written_by_attempts=attempts, lost=world.lost(1), doubled=world.doubled(),
    )  # fmt: skip
    assert (cut, attempts) == (2, [2, 2])


@pytest.mark.scenario("B14", "A deploy under load: each worker is asked to leave (SIGTERM) while another comes")
def test_a_deploy_loses_nothing_and_waits_for_nobody(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=2, beats=1)
    runs = world.fire("test.fault.steps", 2) + world.fire("test.fault.long") + world.fire("test.fault.hard")
    world.wait(lambda: world.done() > 5)
    took = []
    for leaving in list(world.processes.workers):
        world.processes.worker()
        begun = time.monotonic()
        os.kill(leaving.pid, signal.SIGTERM)
        leaving.wait(30)
        world.processes.forget(leaving)
        took.append(f"{time.monotonic() - begun:.1f}")
    recovery = world.settle()
    lost, doubled = world.lost(jobs.STEPS, "%steps") + world.lost(1, "%long"), world.doubled()
    record_fault(
        f"both of 2 workers in turn, with {runs} runs, some longer than a worker that leaves may wait (2 s)",
        lost=lost, doubled=doubled, gone_after=" / ".join(took) + " s", recovery=recovery, attempts=world.attempts(),
    )  # fmt: skip
    assert world.states("%steps").keys() == world.states("%long").keys() == {"done"}
    assert (lost, doubled) == (0, 0)
