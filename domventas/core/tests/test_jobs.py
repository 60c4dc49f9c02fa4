"""Jobs: slots that two leaders agree on, one firing per slot, attempts counted first, one recorded end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django_celery_beat.models import PeriodicTask

from domventas.core import tenancy
from domventas.core.jobs import declare, firing, relay, runner, timetable
from domventas.core.models import Client, Dispatch, Firing, TaskRun, Threshold
from domventas.core.tests import jobs_for_tests

NOW = datetime(2026, 11, 20, 6, 2, 30, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.db
assert jobs_for_tests.STEPS == 3  # imported for its declarations


def test_the_newest_slot_is_a_function_of_the_cadence_alone() -> None:
    job = declare.DECLARED["test.steps"]
    assert list(job.slots(NOW, 3)) == [NOW.replace(minute=m, second=0) for m in (0,)] + [
        NOW.replace(hour=5, minute=m, second=0) for m in (55, 50)
    ]


def test_a_slot_is_fired_once_however_many_ask(client_dv: Client, client2: Client) -> None:
    assert firing.fire("test.steps", now=NOW) == 2
    assert firing.fire("test.steps", now=NOW + timedelta(seconds=40)) == 0
    assert Firing.objects.filter(task="test.steps").count() == 1
    for client in (client_dv, client2):
        with tenancy.acting_for(client):
            assert (TaskRun.objects.count(), Dispatch.objects.count()) == (1, 1)


def test_an_impossible_cadence_and_an_unknown_queue_are_refused() -> None:
    with pytest.raises(ValueError, match="never occurs"):
        declare.scheduled("test.never", "0 0 31 2 *")(lambda run: None)
    with pytest.raises(ValueError, match="queue"):
        declare.scheduled("test.queue", "* * * * *", queue="nowhere")(lambda run: None)
    assert not {"test.never", "test.queue"} & set(declare.TASKS)


def run_of(row: str) -> TaskRun:
    firing.fire(row, now=NOW)
    return TaskRun.objects.get(task=row)


def execute(run: TaskRun) -> str:
    return runner.execute(run.task, run.client_id, run.pk)


def test_a_run_ends_once_and_a_second_message_does_nothing(acting: Client) -> None:
    run = run_of("test.steps")
    assert execute(run) == "already ended"  # its last step recorded the end together with its row
    run.refresh_from_db()
    assert (run.state, run.attempt, run.progress) == ("done", 1, {"step": 3})
    assert execute(run) == "nothing to do"
    assert Threshold.objects.filter(code__startswith="test.").count() == 3


def test_errors_are_counted_and_end_in_failed(acting: Client) -> None:
    run = run_of("test.fails")
    assert execute(run) == "queued"
    assert execute(run) == "nothing to do"  # a second message does not shorten the wait
    TaskRun.objects.update(not_before=None)
    assert execute(run) == "failed"
    run.refresh_from_db()
    assert (run.errors, run.note) == (2, "ValueError: this job fails")


def test_asking_to_come_back_is_no_error(acting: Client) -> None:
    run = run_of("test.later")
    assert execute(run) == "queued"
    run.refresh_from_db()
    assert run.errors == 0 and run.not_before is not None and run.note == "not ready"


def test_who_says_when_to_come_back_comes_back_then_whatever_failed_before(acting: Client) -> None:
    run = run_of("test.later")
    TaskRun.objects.update(errors=3)
    execute(run)
    run.refresh_from_db()
    assert run.not_before is not None and run.not_before - run.seen_at == timedelta(seconds=60)


def test_three_starts_without_an_end_are_quarantined(acting: Client) -> None:
    run = run_of("test.steps")
    TaskRun.objects.filter(pk=run.pk).update(starts=settings.JOB_MAX_STARTS, state="running")
    assert execute(run) == "quarantined"
    run.refresh_from_db()
    assert (run.starts, run.attempt) == (settings.JOB_MAX_STARTS, 0)
    assert run.note.startswith("Begun 3 times without getting further")
    assert Threshold.objects.filter(code__startswith="test.").count() == 0


def test_a_run_of_another_client_is_unknown(acting: Client, client2: Client) -> None:
    run = run_of("test.steps")
    assert runner.execute("test.steps", client2.pk, run.pk) == "unknown"


def test_a_superseded_attempt_writes_nothing(acting: Client) -> None:
    run = run_of("test.steps")
    old = runner.Run(id=run.pk, client_id=acting.pk, account_id=0, attempt=1, slot=run.slot)
    TaskRun.objects.filter(pk=run.pk).update(state="running", attempt=2)
    with pytest.raises(runner.Superseded), old.step({"step": 1}):
        Threshold.objects.create(code="test.late", scope_kind="", scope_ref="", value=1)
    assert not Threshold.objects.filter(code="test.late").exists()


def test_the_timetable_keeps_switches_and_disables_strays(db: None) -> None:
    first = timetable.sync()
    assert first.created == len(declare.rows())
    PeriodicTask.objects.filter(name="test.steps").update(enabled=False)
    PeriodicTask.objects.create(name="nobody declares me", task="x", crontab_id=PeriodicTask.objects.first().crontab_id)  # type: ignore[union-attr]
    second = timetable.sync()
    assert (second.created, second.updated, second.disabled) == (0, 0, 1)
    assert not PeriodicTask.objects.get(name="test.steps").enabled
    assert timetable.sync().disabled == 0


# ── a real worker on a real broker ──────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def worker(transactional_db: None) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker of this test's database, on the test's own broker database."""
    url = f"postgresql://app@/{connection.settings_dict['NAME']}?host={connection.settings_dict['HOST']}&port={connection.settings_dict['PORT']}"
    command = [
        sys.executable, "-m", "celery", "-A", "domventas", "worker", "-c", "1", "-P", "prefork", "-Q", "realtime",
        "-I", "domventas.core.tests.jobs_for_tests", "--without-gossip", "--without-mingle", "--loglevel", "ERROR",
    ]  # fmt: skip
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, start_new_session=True)
    yield child
    os.killpg(child.pid, 9)
    child.wait(10)


def wait_for(state: str, client: Client, seconds: float = 90) -> TaskRun:
    end = time.monotonic() + seconds
    with tenancy.acting_for(client):
        while time.monotonic() < end:
            run = TaskRun.objects.get()
            if run.state == state:
                return run
            time.sleep(0.05)
        raise AssertionError(f"the run is {run.state}: {run.note}")


@pytest.mark.xdist_group("servers")
def test_from_slot_to_end_through_a_real_worker(worker: subprocess.Popen[bytes]) -> None:
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    firing.fire("test.steps", now=NOW)
    assert relay.relay() == 1
    run = wait_for("done", client)
    assert run.attempt == 1
    with tenancy.acting_for(client):
        assert Threshold.objects.filter(code__startswith="test.").count() == 3
        assert Dispatch.objects.count() == 0
