"""A test that cannot fail proves nothing: with one safeguard taken out, lost and doubled work must show."""

from __future__ import annotations

import pytest

from domventas.tests.faults import jobs, test_limits
from domventas.tests.faults.world import World

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def alone(world: World) -> None:
    """Only workers that are broken in the same way; they end with the test."""
    world.processes.close()
    world.processes.beat()


def test_without_the_fence_a_zombie_writes_twice(world: World) -> None:
    for _ in range(2):
        world.processes.worker(FAULT_MUTANT="fence")
    world.fire("test.fault.zombie")
    world.wait(lambda: world.states()["running"] == 2)
    assert world.number(test_limits.CUT_RUN, "%zombie") == 2
    world.wait(lambda: world.number("SELECT count(*) FROM fault_effect") == 4)
    assert world.doubled() == 2
    world.processes.close()


def test_without_the_lock_long_work_is_begun_again_while_it_runs(world: World) -> None:
    for _ in range(2):
        world.processes.worker(FAULT_MUTANT="lock")
    world.fire("test.fault.long")
    world.settle()
    assert world.attempts() > 2
    world.processes.close()


def test_without_the_count_poison_is_never_put_aside(world: World) -> None:
    world.processes.worker(FAULT_MUTANT="count")
    world.fire("test.fault.poison")
    world.wait(lambda: world.number("SELECT min(attempt) FROM core_taskrun") > 4)
    assert world.states()["quarantined"] == 0
    assert jobs.STEPS == 3  # imported for its declarations
    world.processes.close()
