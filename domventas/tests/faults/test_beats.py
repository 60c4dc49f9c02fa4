"""Beats are killed, and everything is down for hours: a slot is fired once, and what was missed follows its policy."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from domventas.tests.faults import jobs
from domventas.tests.faults.processes import Child
from domventas.tests.faults.world import World
from pytest_faults import RecordFault

pytestmark = pytest.mark.xdist_group("servers")
LEADER = """
SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE 'domventas beat %'
"""


def every_second(world: World) -> None:
    second, _ = IntervalSchedule.objects.get_or_create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="test.fault.tick", task="test.fault.tick", interval=second)


def leader_of(world: World) -> Child:
    world.wait(lambda: world.sql(LEADER))
    pid = int(world.sql(LEADER)[0][0].split()[-1])
    return next(beat for beat in world.processes.beats if beat.pid == pid)


def fired(world: World) -> int:
    return world.number("SELECT count(*) FROM core_firing WHERE task = 'test.fault.tick'")


def stop_firing(world: World) -> None:
    PeriodicTask.objects.update(enabled=False)
    PeriodicTasks.update_changed()
    for beat in list(world.processes.beats):
        world.processes.kill(beat, "group")


def holes(world: World) -> int:
    return world.number(
        "SELECT extract(epoch FROM max(slot) - min(slot))::int + 1 - count(*) FROM core_firing WHERE task LIKE '%%tick'"
    )


@pytest.mark.scenario("B4", "Two beats run; the leader is killed, then both, then a third comes")
def test_every_slot_is_fired_once_whoever_leads(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=1, beats=2)
    every_second(world)
    world.wait(lambda: fired(world) >= 3)
    first = leader_of(world)
    world.processes.kill(first, "group")
    before = fired(world)
    takeover = world.wait(lambda: fired(world) > before)
    world.wait(lambda: fired(world) >= before + 3)
    world.processes.kill(leader_of(world), "group")
    before = fired(world)
    world.processes.beat()
    caught_up = world.wait(lambda: fired(world) > before)
    world.wait(lambda: fired(world) >= before + 3)
    stop_firing(world)
    world.processes.have(workers=1, beats=1)  # relays what is left
    world.settle()
    slots, runs = fired(world), sum(world.states("%tick").values())
    record_fault(
        f"{slots} slots of one second for two clients", takeover=takeover, third_beat_fires_after=caught_up,
        holes=holes(world), runs=runs, lost=world.lost(1), doubled=world.doubled(),
    )  # fmt: skip
    assert holes(world) == 0
    assert world.states("%tick") == {"done": 2 * slots}
    assert (world.lost(1), world.doubled()) == (0, 0)


@pytest.mark.slow
def test_the_key_alone_keeps_two_leaders_from_firing_twice(world: World) -> None:
    world.processes.have(workers=1)
    for _ in range(2):
        world.processes.beat(FAULT_MUTANT="leader")
    every_second(world)
    world.wait(lambda: fired(world) >= 6)
    stop_firing(world)
    world.processes.have(workers=1, beats=1)
    world.settle()
    assert world.states("%tick") == {"done": 2 * fired(world)}
    assert world.doubled() == 0


@pytest.mark.fault  # the policies themselves are tried in core/tests/test_jobs_survive.py
@pytest.mark.scenario("B5", "All workers, then all beats are down for two hours")
def test_missed_slots_collapse_or_are_made_up_for_by_policy(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=0, beats=1)
    hours = 24  # slots of five minutes
    collapsing = world.fire("test.fault.collapses", hours)
    windows = world.fire("test.fault.windows", hours)
    world.wait(lambda: not world.number("SELECT count(*) FROM core_dispatch"))  # all was sent, nobody is there
    world.processes.have(workers=1, beats=1)
    back = world.settle()
    collapsed = world.states("%collapses")
    assert collapsed == {"done": collapsing // hours, "skipped": collapsing - collapsing // hours}
    world.processes.have(workers=1, beats=1)
    again = world.fire("test.fault.collapses", after=2 * hours), world.fire("test.fault.windows", after=2 * hours)
    world.settle(120)
    record_fault(
        "24 slots of five minutes while no worker ran, then 24 that no beat fired",
        runs_per_collapsed_task=again[0] / collapsing * hours, windows_made_up_for=windows + again[1],
        workers_done_after=back, lost=world.lost(1), doubled=world.doubled(),
    )  # fmt: skip
    assert again == (collapsing // hours, 2 * (hours + 1))
    assert world.states("%windows") == {"done": windows + again[1]}
    assert world.number("SELECT count(*) FROM core_taskrun WHERE state = 'done' AND attempt <> 1") == 0
    assert (world.lost(1), world.doubled()) == (0, 0)
    gap = (
        "SELECT count(*) FROM (SELECT slot - lag(slot) OVER (ORDER BY slot) FROM core_firing WHERE task LIKE %s) x (d)"
    )
    assert world.number(f"{gap} WHERE d <> %s", "%windows", timedelta(minutes=5)) == 0
    assert jobs.STEPS == 3  # imported for its declarations
