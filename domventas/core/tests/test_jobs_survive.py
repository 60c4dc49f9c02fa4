"""Jobs in trouble: slots that collapse, sessions that are cut, disks that are full, runs that gave up, bad limits."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import redis
from billiard.exceptions import SoftTimeLimitExceeded
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, OperationalError, connection, connections
from django_celery_beat.models import PeriodicTask

from domventas.core import tenancy
from domventas.core.jobs import checks, declare, firing, outcomes, relay, requeue, runner, sweep, timetable
from domventas.core.models import Client, Dispatch, TaskRun
from domventas.core.tests import jobs_for_tests

NOW = datetime(2026, 11, 20, 6, 2, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
pytestmark = pytest.mark.db
assert jobs_for_tests.STEPS == 3  # imported for its declarations


@pytest.fixture
def every_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    job = declare.DECLARED["test.steps"]
    monkeypatch.setitem(declare.DECLARED, "test.steps", replace(job, overlap="queue", catch_up="all", window=HOUR))


def states() -> list[tuple[int, str]]:
    return [(run.slot.hour * 60 + run.slot.minute, run.state) for run in TaskRun.objects.order_by("slot")]


# ── slots ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_slots_missed_by_all_workers_become_one_run(acting: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for minute in range(0, 30, 5):
        firing.fire("test.steps", now=NOW + timedelta(minutes=minute))
    assert states() == [(360 + minute, "skipped") for minute in range(0, 25, 5)] + [(385, "queued")]
    sent: list[int] = []
    task = SimpleNamespace(apply_async=lambda args, **_: sent.append(args[1]))
    monkeypatch.setitem(declare.TASKS, "test.steps", task)
    relay.relay()
    assert sent == [TaskRun.objects.get(state="queued").pk]  # what collapsed is not even sent
    assert not Dispatch.objects.exists()
    assert {run.note for run in TaskRun.objects.filter(state="skipped")} == {firing.COLLAPSED}


def test_a_run_that_has_begun_is_not_collapsed(acting: Client) -> None:
    firing.fire("test.steps", now=NOW)
    TaskRun.objects.update(attempt=1)  # its worker died, it waits to go on
    firing.fire("test.steps", now=NOW + HOUR)
    assert [state for _, state in states()] == ["queued", "queued"]


def test_slots_missed_by_beat_collapse_or_are_all_caught_up(acting: Client, every_slot: None) -> None:
    firing.fire("test.steps", now=NOW)
    assert firing.fire("test.steps", now=NOW + 5 * HOUR) == 12  # the window of one hour, every five minutes
    assert firing.fire("test.later", now=NOW) == 1
    assert firing.fire("test.later", now=NOW + 5 * HOUR) == 1


def test_a_new_leader_owes_the_slots_nobody_fired(acting: Client) -> None:
    timetable.sync()
    assert firing.owing({"test.steps": "", "test.later": ""}, now=NOW) == []  # never fired: nothing is owed
    firing.fire("test.steps", now=NOW)
    assert firing.owing({"test.steps": ""}, now=NOW + timedelta(minutes=1)) == []
    assert firing.owing({"test.steps": ""}, now=NOW + timedelta(minutes=10)) == ["test.steps"]
    assert firing.owing({"test.steps": "0 6 * * *"}, now=NOW + timedelta(minutes=10)) == []  # staff made it daily


def test_staffs_schedule_gives_the_slots(acting: Client) -> None:
    daily = "0 3 * * *"
    assert firing.fire("test.steps", now=NOW, cadence=daily) == 1
    assert firing.fire("test.steps", now=NOW + HOUR, cadence=daily) == 0
    row = PeriodicTask(name="x", task="x", interval_id=1)
    assert timetable.cadence_of(row) == ""


def test_the_trouble_of_one_client_takes_no_slot_from_another(
    acting: Client, client2: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def members(suffix: str) -> list[int]:
        if tenancy.current().one == acting.pk:
            raise ValueError("only here")
        return [0]

    job = declare.DECLARED["test.steps"]
    monkeypatch.setitem(declare.DECLARED, "test.steps", replace(job, scope=replace(job.scope, members=members)))
    assert firing.fire("test.steps", now=NOW) == 1
    with tenancy.acting_for(client2):
        assert TaskRun.objects.get().state == "queued"
    assert firing.owing({"test.steps": ""}, now=NOW) == [], "else a leader would try it again before all other rows"


# ── what became of it ───────────────────────────────────────────────────────────────────────────────────────────────
class Answer(Exception):
    """What the driver raised."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


def database_error(sqlstate: str | None) -> OperationalError:
    error = OperationalError("the database says no")
    error.__cause__ = Answer(sqlstate)
    return error


@pytest.mark.parametrize(
    ("error", "counts", "waits"),
    [
        (database_error(None), 0, 0.5),  # no answer at all
        (database_error("57P01"), 0, 0.5),  # terminated by an administrator
        (database_error("08006"), 0, 0.5),
        (redis.ConnectionError("gone"), 0, 0.5),
        (database_error("53100"), 0, 60),  # disk full
        (OSError(errno.ENOSPC, "No space left on device"), 0, 60),
        (OSError(errno.ENOENT, "No such file"), 1, 1),
        (database_error("40P01"), 1, 1),  # deadlock
        (database_error("57014"), 1, 1),  # statement timeout: for ever, if it did not count
        (DatabaseError("syntax"), 1, 1),
        (SoftTimeLimitExceeded(), 1, 0),
        (outcomes.Retry(7, "later"), 0, 7),
    ],
    ids=str,
)
def test_only_servers_that_are_away_or_full_cost_no_retry(error: Exception, counts: int, waits: float) -> None:
    outcome = outcomes.outcome_of(error)
    assert (outcome.state, outcome.error, outcome.delay) == ("queued", counts, waits)
    assert outcome.note


# ── sweeper ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def broker(**held: int) -> Callable[[list[str]], dict[str, int]]:
    return lambda queues: {queue: held.get(queue, 0) for queue in queues}


def running(run: TaskRun, *, seconds: float) -> None:
    """As a worker leaves it that took it so many seconds ago."""
    from django.utils.timezone import now

    TaskRun.objects.filter(pk=run.pk).update(
        state="running", attempt=1, starts=1, started_at=now() - timedelta(seconds=seconds)
    )


@pytest.fixture
def other() -> Any:
    """Another session on the same database, as a worker has it."""
    params = {k: v for k, v in connection.get_connection_params().items() if k in ("dbname", "user", "host", "port")}
    with psycopg.connect(**params, autocommit=True) as session:
        yield session


def test_the_dead_are_told_from_the_living_by_their_own_lock(acting: Client, other: Any, every_slot: None) -> None:
    firing.fire("test.steps", now=NOW - timedelta(minutes=5))
    firing.fire("test.steps", now=NOW)
    dead, alive = TaskRun.objects.order_by("slot")
    assert dead.lock_key == alive.lock_key
    for run in (dead, alive):
        running(run, seconds=10)
    other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [alive.lock_key])
    other.execute("SELECT pg_advisory_lock(hashtextextended('run:' || %s, 0))", [alive.pk])
    assert sweep.sweep(backlog=broker())["dead"] == 1
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.state, dead.note, alive.state) == ("queued", sweep.DIED, "running")


def test_only_the_overdue_session_is_cut(acting: Client, other: Any, every_slot: None) -> None:
    firing.fire("test.steps", now=NOW - timedelta(minutes=5))
    firing.fire("test.steps", now=NOW)
    dead, alive = TaskRun.objects.order_by("slot")
    running(dead, seconds=3600)  # killed long ago, and the next run has taken the work's lock
    running(alive, seconds=10)
    other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [alive.lock_key])
    other.execute("SELECT pg_advisory_lock(hashtextextended('run:' || %s, 0))", [alive.pk])
    sweep.sweep(backlog=broker())
    assert other.execute("SELECT 1").fetchone() == (1,)
    running(alive, seconds=3600)
    sweep.sweep(backlog=broker())
    with pytest.raises(psycopg.OperationalError):
        other.execute("SELECT 1")
    dead.refresh_from_db()
    assert dead.note == sweep.TOO_LONG


def test_a_backlog_is_not_sent_again_but_what_the_broker_lost_is(acting: Client, client2: Client) -> None:
    for client in (acting, client2):
        with tenancy.acting_for(client):
            for number in range(3):
                firing.enqueue("test.steps", now=NOW + timedelta(seconds=number))
            TaskRun.objects.update(seen_at=NOW)
            Dispatch.objects.all().delete()
    assert sweep.sweep(backlog=broker(realtime=6))["unseen"] == 0
    assert sweep.sweep(backlog=broker(realtime=2))["unseen"] == 4


def test_two_sweepers_never_look_after_one_client_at_once(acting: Client, other: Any) -> None:
    firing.fire("test.steps", now=NOW)
    running(TaskRun.objects.get(), seconds=10)
    other.execute("SELECT pg_advisory_lock(hashtextextended('sweeper:' || %s, 0))", [acting.pk])
    assert sweep.sweep(backlog=broker())["dead"] == 0
    other.execute("SELECT pg_advisory_unlock_all()")
    assert sweep.sweep(backlog=broker())["dead"] == 1


def test_a_job_that_left_the_code_holds_up_no_other(acting: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    task = SimpleNamespace(apply_async=lambda args, **_: sent.append(args[1]))
    monkeypatch.setitem(declare.TASKS, "test.steps", task)
    firing.enqueue("test.steps", now=NOW)
    gone = firing.enqueue("test.steps", now=NOW + HOUR)
    TaskRun.objects.filter(pk=gone.pk).update(task="test.forgotten")
    assert relay.relay() == 2
    gone.refresh_from_db()
    assert (len(sent), gone.state, gone.note) == (1, "failed", "No program declares this job any more.")


def test_the_trouble_of_one_client_holds_up_no_other(acting: Client, client2: Client) -> None:
    def work(client: int) -> int:
        if client == acting.pk:
            raise ValueError("only here")
        return client

    assert relay.each_client("relay", work) == [client2.pk]


# ── gave up ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_run_that_gave_up_begins_anew_when_asked(acting: Client) -> None:
    firing.fire("test.steps", now=NOW)
    TaskRun.objects.update(state="quarantined", starts=3, attempt=3, progress={"step": 1}, ended_at=NOW)
    Dispatch.objects.all().delete()
    run = requeue.quarantined_runs().get()
    with tenancy.acting_for(acting, actor="ada@example.com"):
        assert requeue.requeue([run], now=NOW) == 1
        assert requeue.requeue([run], now=NOW) == 0  # twice asks once
    run.refresh_from_db()
    assert (run.state, run.starts, run.attempt, run.note) == ("queued", 0, 3, "Begun anew by ada@example.com.")
    assert Dispatch.objects.get().run_id == run.pk
    assert runner.execute(run.task, acting.pk, run.pk) == "already ended"
    run.refresh_from_db()
    assert (run.state, run.progress, run.note) == ("done", {"step": 3}, "")


@pytest.mark.parametrize("state", ["queued", "running", "done", "skipped"])
def test_nothing_else_can_be_requeued(acting: Client, state: str) -> None:
    firing.fire("test.steps", now=NOW)
    TaskRun.objects.update(state=state)
    assert requeue.requeue(TaskRun.objects.all(), now=NOW) == 0


# ── declarations ────────────────────────────────────────────────────────────────────────────────────────────────────
def problems() -> list[str | None]:
    return [problem.id for problem in checks.timetable(None)]


def test_every_declared_job_passes_the_check() -> None:
    assert problems() == []
    assert max(job.hard for job in declare.DECLARED.values()) < settings.CELERY_VISIBILITY_TIMEOUT


def test_a_limit_beyond_the_visibility_timeout_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    job = declare.DECLARED["test.steps"]
    monkeypatch.setitem(declare.DECLARED, "test.steps", replace(job, hard=settings.CELERY_VISIBILITY_TIMEOUT))
    assert problems() == ["jobs.E001"]


def test_a_task_nobody_declares_is_an_error() -> None:
    current_app.task(name="test.undeclared")(jobs_for_tests.fails)
    try:
        assert problems() == ["jobs.E003"]
    finally:
        current_app.tasks.pop("test.undeclared")


def test_catching_up_all_slots_allows_skipping_none() -> None:
    with pytest.raises(ValueError, match="never be caught up"):
        declare.scheduled("test.torn", "* * * * *", catch_up="all", overlap="skip")(lambda run: None)


def test_limits_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="soft limit"):
        declare.scheduled("test.round", "* * * * *", soft=20, hard=20)(lambda run: None)


def test_the_settings_that_keep_work_alive() -> None:
    conf = current_app.conf
    assert conf.task_acks_late and conf.task_reject_on_worker_lost and conf.worker_prefetch_multiplier == 1
    assert conf.task_publish_retry is False and conf.broker_connection_max_retries is None
    assert conf.broker_channel_error_retry  # or a worker ends when the broker has no memory left
    options = conf.broker_transport_options
    assert options["visibility_timeout"] == settings.CELERY_VISIBILITY_TIMEOUT
    assert options["unacked_restore_throttle"] == 1 and options["unacked_mutex_expire"] <= 20
    assert conf.accept_content == ["json"] and conf.task_ignore_result
    assert connections.databases["default"]["CONN_HEALTH_CHECKS"] is True
