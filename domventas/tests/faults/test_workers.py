"""Workers and their children are killed: nothing is lost, nothing is done twice, and what kills others is put aside."""

from __future__ import annotations

import time

import pytest

from domventas.core import tenancy
from domventas.core.jobs import requeue
from domventas.core.models import Client, Threshold
from domventas.tests.faults import jobs
from domventas.tests.faults.world import World
from pytest_faults import RecordFault

pytestmark = pytest.mark.xdist_group("servers")
ALIVE = """
SELECT count(*) FROM core_taskrun r WHERE r.state = 'running' AND EXISTS (SELECT FROM pg_locks l
WHERE l.locktype = 'advisory' AND l.objid::bigint = hashtextextended('run:' || r.id, 0) & 4294967295)
"""
NOW = jobs.datetime(2026, 11, 20, 12, tzinfo=jobs.UTC)


@pytest.mark.scenario("B1", "A worker is killed with -9 in the middle of its work")
@pytest.mark.parametrize("kills", [12, pytest.param(100, marks=pytest.mark.fault)])
def test_killed_workers_lose_nothing_and_double_nothing(world: World, record_fault: RecordFault, kills: int) -> None:
    world.processes.have(workers=2, beats=1)
    runs = world.fire("test.fault.steps", 4 if kills < 50 else 16)
    counts = dict.fromkeys(("group", "main", "child"), 0)
    chance = world.processes.chance
    for _ in range(kills):
        world.wait(lambda: world.number(ALIVE) >= 2)
        time.sleep(chance.uniform(0, 0.06))  # a random point of the work
        how = chance.choice(["group", "main", "child", "child", "child"])
        worker = chance.choice(world.processes.workers)
        if world.processes.kill(worker, how):
            world.processes.worker()
        counts[how] += 1
    still = world.open()
    recovery = world.settle()
    lost, doubled = world.lost(jobs.STEPS), world.doubled()
    record_fault(
        f"{kills} kills at random points ({counts['group']} of the group, {counts['main']} of the main process, "
        f"{counts['child']} of a child) while 2 workers do {runs} runs of 3 steps",
        lost=lost, doubled=doubled, open_at_the_last_kill=still, recovery=recovery,
        starts_beyond_the_first=world.attempts() - runs,
        workers_that_ended_by_themselves=world.processes.restarts,
    )  # fmt: skip
    assert world.states() == {"done": runs}
    assert (lost, doubled) == (0, 0)
    assert world.attempts() > runs  # or nothing had been in the middle of anything


@pytest.mark.scenario("B2", "A task kills its own process each time, as the OOM killer would")
def test_poison_is_put_aside_after_three_starts_and_begins_anew_when_asked(
    world: World, record_fault: RecordFault
) -> None:
    world.processes.have(workers=1, beats=1)
    world.fire("test.fault.poison")
    world.fire("test.fault.steps")
    took = world.settle()
    poison = world.sql("SELECT state, attempt, note FROM core_taskrun WHERE task LIKE %s", "%poison")
    neighbors = world.states("%steps")
    for client in Client.objects.all():
        with tenancy.acting_for(client, actor="ada@example.com"):
            Threshold.objects.create(code="test.mended", value=1)
            assert requeue.requeue(requeue.quarantined_runs(), now=NOW) == 1
    again = world.settle()
    record_fault(
        "one such run per client beside ordinary work; the cause mended, then *Requeue*",
        starts=sorted({row[1] for row in poison}), quarantined_after=took, neighbors_done=neighbors["done"],
        done_after_requeue=again, lost=world.lost(1), doubled=world.doubled(),
    )  # fmt: skip
    assert [row[:2] for row in poison] == [("quarantined", 3)] * 2
    assert all("left alone" in row[2] and "process died" in row[2] for row in poison)
    assert neighbors.keys() == {"done"}
    assert world.states("%poison") == {"done": 2}
    assert world.doubled() == 0
