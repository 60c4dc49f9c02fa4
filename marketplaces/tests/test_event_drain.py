"""What events lead to: the thing is fetched once, stored like any answer, and every event comes to an end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction

from domventas.core.jobs import firing, runner
from domventas.core.models import TaskRun
from marketplaces.errors import Refused, Throttled, Unauthorized, Unavailable
from marketplaces.models import Account, InboundEvent, RawDocument, ReportJob, Stream, StreamDay
from marketplaces.selectors import events as selectors
from marketplaces.services import streams
from marketplaces.services.claims import claim
from marketplaces.services.event_drain import LOOKS_FOR_CHANGE, MOST_ATTEMPTS, drain
from marketplaces.services.inbox import accept, replay
from marketplaces.services.pull import pull_stream
from marketplaces.tests.sending import hint
from marketplaces.tests.support import NOW, Toy
from orders.models import Order

HOUR = timedelta(hours=1)
ROOT = Path(__file__).resolve().parents[2]


def come(account: Account, *refs: str, prefix: str = "e", at=None, now=NOW) -> int:
    return accept(account, "webhook", [hint(f"{prefix}-{n}-{ref}", ref, at) for n, ref in enumerate(refs)], now=now)


def states() -> list[str]:
    return list(InboundEvent.objects.order_by("pk").values_list("state", flat=True))


def test_events_of_one_thing_are_one_fetch_and_all_end_with_it(toy: Toy, account: Account):
    toy.fill(3)
    assert come(account, "T-001", "T-001", "T-002", "T-001") == 4
    done = drain(account, now=NOW)
    assert (done.taken, done.things, done.done, toy.fetched) == (4, 2, 4, [("T-001", "T-002")])
    assert states() == ["done"] * 4
    assert set(Order.objects.values_list("external_id", flat=True)) == {"T-001", "T-002"}
    raw = RawDocument.objects.get()
    assert raw.is_encrypted
    assert set(InboundEvent.objects.values_list("raw_id", flat=True)) == {raw.pk}
    assert drain(account, now=NOW + HOUR).taken == 0


def test_a_fetched_order_counts_as_brought_by_its_day(toy: Toy, account: Account):
    toy.fill(1)
    come(account, "T-000")
    drain(account, now=NOW)
    assert StreamDay.objects.get().accepted == 1
    assert pull_stream(account, "orders", now=NOW).tally.written == 0


def test_a_drain_leaves_the_polls_place_alone(toy: Toy, account: Account):
    """A poll that was broken off goes on where it stood, and one under way does not hold up events."""
    toy.fill(6, every=timedelta(minutes=5))
    calls = []

    def once(window, token):
        calls.append(token)
        if token == "2":
            raise Refused("gone") if len(calls) < 3 else Unavailable("gone")

    toy.before = once
    pull_stream(account, "orders", now=NOW, sleep=lambda s: None)
    stream = Stream.objects.get(account=account, flow="orders")
    before = (stream.window, stream.token, stream.coverage, stream.version)
    assert before[0] is not None
    come(account, "T-005")
    drain(account, now=NOW)
    stream.refresh_from_db()
    assert (stream.window, stream.token, stream.coverage, stream.version) == before
    come(account, "T-004")
    with claim(stream, now=NOW):
        assert drain(account, now=NOW).done == 1


def test_the_job_does_it_all_in_one_run(toy: Toy, account: Account):
    toy.fill(2)
    come(account, "T-000", "T-001", now=NOW)
    run = TaskRun.objects.get()
    assert runner.execute("events.drain.{channel}", run.client_id, run.pk) == "done"
    assert states() == ["done", "done"]
    assert selectors.waiting_at("toy") == []


def test_the_backstop_makes_runs_only_where_events_wait(toy: Toy, account: Account):
    firing.fire("events.drain.toy", now=NOW)
    assert not TaskRun.objects.exists()
    come(account, "T-000")
    TaskRun.objects.all().delete()  # the message of the insert was lost
    assert firing.fire("events.drain.toy", now=NOW + timedelta(minutes=1)) == 1


def test_what_the_source_does_not_show_yet_is_asked_for_again(toy: Toy, account: Account):
    toy.fill(1)
    come(account, "T-000", "T-777")
    drain(account, now=NOW)
    assert states() == ["done", "waiting"]
    assert drain(account, now=NOW + timedelta(seconds=29)).taken == 0
    toy.orders["T-777"] = (NOW, 2)
    assert drain(account, now=NOW + timedelta(seconds=31)).done == 1
    assert Order.objects.filter(external_id="T-777").exists()


def test_a_source_that_shows_an_older_state_than_it_told_of_is_asked_again(toy: Toy, account: Account):
    toy.fill(1)
    old, new = toy.orders["T-000"], (NOW, 5)
    come(account, "T-000", at=NOW)
    drain(account, now=NOW)
    event = InboundEvent.objects.get()
    assert (event.state, event.attempts) == ("waiting", 1)
    assert Order.objects.get().source_updated_at == old[0]  # what it did show is stored all the same
    toy.orders["T-000"] = new
    drain(account, now=NOW + HOUR)
    assert (states(), Order.objects.get().source_updated_at) == (["done"], NOW)


def test_after_some_looks_the_poll_is_trusted(toy: Toy, account: Account):
    toy.fill(1)
    come(account, "T-000", at=NOW)
    for number in range(LOOKS_FOR_CHANGE):
        drain(account, now=NOW + number * HOUR)
    assert (states(), len(toy.fetched)) == (["done"], LOOKS_FOR_CHANGE)


def test_after_so_many_tries_people_have_to_look_and_may_replay(toy: Toy, account: Account):
    come(account, "T-404")
    for number in range(MOST_ATTEMPTS + 3):
        drain(account, now=NOW + number * 2 * HOUR)
    event = InboundEvent.objects.get()
    assert (event.state, event.attempts, event.note) == (
        "failed", MOST_ATTEMPTS, "The marketplace does not show it (yet).",
    )  # fmt: skip
    (count,) = selectors.counts()
    assert (count.waiting, count.failed, count.account) == (0, 1, "toy-1")
    toy.orders["T-404"] = (NOW, 1)
    assert replay([event], now=NOW + 50 * HOUR) == 1
    assert drain(account, now=NOW + 50 * HOUR).done == 1


def test_being_asked_to_slow_down_is_no_attempt(toy: Toy, account: Account):
    toy.fill(2)
    come(account, "T-000", "T-001")

    def throttled(refs):
        raise Throttled("slow down", after=timedelta(minutes=7))

    toy.before_one = throttled
    done = drain(account, now=NOW)
    assert (done.retry_after, done.later) == (timedelta(minutes=7), 2)
    assert set(InboundEvent.objects.values_list("attempts", "not_before")) == {(0, NOW + timedelta(minutes=7))}
    toy.before_one = lambda refs: None
    assert drain(account, now=NOW + timedelta(minutes=8)).done == 2


def test_a_refused_sign_in_stops_the_account_and_loses_no_event(toy: Toy, account: Account):
    toy.fill(1)
    come(account, "T-000")

    def refused(refs):
        raise Unauthorized("The credential was refused.")

    toy.before_one = refused
    drain(account, now=NOW)
    account.refresh_from_db()
    assert (account.status, states()) == ("broken", ["waiting"])
    assert drain(account, now=NOW + HOUR).taken == 0
    assert selectors.waiting_at("toy") == []
    account.status = "active"
    account.save()
    toy.before_one = lambda refs: None
    assert drain(account, now=NOW + HOUR).done == 1


def test_one_thing_that_spoils_the_answer_stops_no_other(toy: Toy, account: Account):
    toy.fill(3)
    come(account, "T-000", "T-bad", "T-001")

    def spoilt(refs):
        if "T-bad" in refs:
            raise Refused("no such number", status=400)

    toy.before_one = spoilt
    done = drain(account, now=NOW)
    assert (done.done, done.later, states()) == (2, 1, ["done", "waiting", "done"])


def test_a_record_that_cannot_be_read_is_in_quarantine_and_its_event_over(toy: Toy, account: Account):
    toy.fill(2)
    come(account, "T-000", "T-001")
    toy.shows = lambda ref: {**toy.shown(ref), "quantity": "many"} if ref == "T-000" else toy.shown(ref)
    assert drain(account, now=NOW).done == 2
    assert InboundEvent.objects.get(ref="T-000").note == "the record is in quarantine"
    assert list(Order.objects.values_list("external_id", flat=True)) == ["T-001"]


def test_events_of_a_paused_flow_wait(toy: Toy, account: Account):
    toy.fill(1)
    come(account, "T-000")
    streams.pause(list(Stream.objects.filter(flow="orders")))
    assert (drain(account, now=NOW).taken, selectors.waiting_at("toy")) == (0, [])
    streams.resume(list(Stream.objects.all()))
    assert drain(account, now=NOW).done == 1


def test_a_finished_report_of_ours_is_looked_after_now(toy: Toy, account: Account):
    pull_stream(account, "offers", now=NOW)
    report = ReportJob.objects.get()
    assert report.next_poll_at > NOW
    for ref in (report.report_ref, "somebody-elses"):
        InboundEvent.objects.create(
            account=account, source="sqs", event_id=ref, kind="REPORT", effect="report", ref=ref, received_at=NOW,
            purge_at=NOW, not_before=NOW,
        )  # fmt: skip
    drain(account, now=NOW)
    report.refresh_from_db()
    assert report.next_poll_at == NOW
    assert set(InboundEvent.objects.values_list("ref", "state")) == {("R1", "done"), ("somebody-elses", "ignored")}
    assert TaskRun.objects.get().task == "ingest.toy.reports_poll"


def test_a_rolled_back_answer_ends_no_event(toy: Toy, account: Account):
    """The order and the end of its events are one transaction."""
    toy.fill(1)
    come(account, "T-000")
    steps = []

    class Fence(Exception):
        pass

    from contextlib import contextmanager

    @contextmanager
    def step():
        steps.append(1)
        with transaction.atomic():
            yield
            if len(steps) == 2:
                raise runner.Superseded("another worker")

    with pytest.raises(runner.Superseded):
        drain(account, now=NOW, step=step)
    assert (states(), Order.objects.count()) == (["waiting"], 0)
    assert drain(account, now=NOW + HOUR).done == 1


KILLED = """
import os, signal, sys
import django
django.setup()
from domventas.core import tenancy
from marketplaces.models import Account
from marketplaces.registry import connectors
from marketplaces.services.event_drain import drain
from marketplaces.tests.support import NOW, Toy
toy = Toy()
toy.before_one = lambda refs: os.kill(os.getpid(), signal.SIGKILL)
connectors["toy"] = toy.connector()
with tenancy.acting_for(int(sys.argv[1])):
    drain(Account.objects.get(), now=NOW)
"""


def test_nothing_is_lost_when_the_drain_is_killed_between_insert_and_fetch(toy: Toy, account: Account):
    toy.fill(3)
    come(account, "T-000", "T-001", "T-001")
    connection.close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(account.client_id)], cwd=ROOT, check=False, capture_output=True,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "domventas.settings"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert set(InboundEvent.objects.values_list("state", "attempts")) == {("waiting", 1)}
    assert drain(account, now=NOW + timedelta(seconds=20)).taken == 0  # the dead worker's lease
    assert drain(account, now=NOW + timedelta(seconds=31)).done == 3
    assert Order.objects.count() == 2
