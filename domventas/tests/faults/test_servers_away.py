"""Broker and database are killed, flushed and cut under load: work goes on where it was, and people get their pages."""

from __future__ import annotations

import time

import pytest

from domventas.tests.faults import jobs
from domventas.tests.faults.visitors import PAGES, visitor
from domventas.tests.faults.world import World
from pytest_faults import RecordFault

pytestmark = pytest.mark.xdist_group("servers")
CUT = """
SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND usename = 'app' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1) x
"""


@pytest.mark.scenario("B6", "The broker is flushed, killed with -9, out of memory and flushed again under load")
def test_a_broker_that_forgets_everything_costs_nothing(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=2, beats=1)
    person = visitor(world)
    runs = world.fire("test.fault.steps", 1)
    with person.looking():
        world.wait(lambda: world.done() > 5)
        world.servers.flush()
        runs += world.fire("test.fault.steps", 1, after=1)
        world.wait(lambda: world.done() > 20)
        world.servers.kill_valkey(away=1.5)
        runs += world.fire("test.fault.steps", 1, after=2)
        world.servers.broker().config_set("maxmemory", "1mb")  # refuses to take anything
        time.sleep(1)  # the outage itself
        world.servers.broker().config_set("maxmemory", "0")
        world.servers.flush()
        still = world.open()
        recovery = world.settle()
    lost, doubled = world.lost(jobs.STEPS), world.doubled()
    record_fault(
        f"FLUSHALL, kill -9 with 1.5 s of absence, no memory for 1 s and FLUSHALL while 2 workers do {runs} runs; "
        f"somebody looks at {len(PAGES)} pages over and over",
        lost=lost, doubled=doubled, open_at_the_last_flush=still, recovery=recovery, attempts=world.attempts(),
        pages=sum(person.answers.values()), errors=person.failures(), slowest_page=f"{person.slowest:.1f} s",
        workers_that_ended_by_themselves=world.processes.restarts,
    )  # fmt: skip
    assert world.states() == {"done": runs}
    assert (lost, doubled) == (0, 0)
    assert person.failures() == 0


@pytest.mark.scenario("B7", "PostgreSQL restarts at once three times, and sessions are cut at random, under load")
def test_a_database_that_comes_and_goes_keeps_what_was_committed(world: World, record_fault: RecordFault) -> None:
    world.processes.have(workers=2, beats=1)
    person = visitor(world)
    runs, away = world.fire("test.fault.steps", 3), []
    with person.looking():
        for number in range(3):
            world.wait(lambda number=number: world.done() > 5 + 15 * number)
            away.append(world.servers.restart_postgres())
        cut = 0
        for _ in range(15):
            cut += world.number(CUT)
            time.sleep(world.processes.chance.uniform(0.02, 0.15))  # a random point of the work
        still = world.open()
        recovery = world.settle()
    lost, doubled = world.lost(jobs.STEPS), world.doubled()
    after = [person.ask(page) for page in PAGES]
    record_fault(
        f"3 × `-m immediate` and {cut} × pg_terminate_backend while 2 workers do {runs} runs",
        lost=lost, doubled=doubled, away=" / ".join(f"{seconds:.1f}" for seconds in away) + " s", open_at_the_end=still,
        recovery=recovery, attempts=world.attempts(), pages=sum(person.answers.values()),
        errors_meanwhile=person.failures(), errors_after=sum(status != 200 for status in after),
    )  # fmt: skip
    assert world.states() == {"done": runs}
    assert (lost, doubled) == (0, 0)
    assert after == [200] * len(PAGES)
