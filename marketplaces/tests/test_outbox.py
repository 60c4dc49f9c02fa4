"""The outbox against a marketplace over real HTTP: what goes out, in which order, how often, and what is never sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils.timezone import now as wall_clock

from domventas.core.errors import Refused
from domventas.core.jobs import firing, runner
from domventas.core.jobs.runner import Superseded
from domventas.core.models import AuditEntry, TaskRun
from marketplaces.models import Account, OutboxAttempt, OutboxCommand, PushFlow
from marketplaces.registry import connectors
from marketplaces.services import outbox, outbox_claims, push_flows
from marketplaces.services.outbox_drain import MOST_SENDS, Drained, drain
from marketplaces.signals import push_settled
from marketplaces.tests.conftest import toy_account
from marketplaces.tests.parcels import PUSH, Clock, Parcels, command, serving
from marketplaces.tests.support import Toy

State = OutboxCommand.State


@pytest.fixture
def parcels(toy: Toy, settings: Any) -> Iterator[Parcels]:
    connectors["toy"] = replace(connectors["toy"], shipments=PUSH)
    with serving(Parcels()) as running:
        settings.SANDBOX_URL = running.url
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(parcels: Parcels, clock: Clock) -> Account:
    """An account whose shipments may leave."""
    account = toy_account("toy-1")
    live(account, clock)
    return account


def live(account: Account, clock: Clock) -> None:
    flow = push_flows.flow_of(account, "shipments", now=clock())
    push_flows.set_mode(flow, "live", actor="test", now=clock(), why="for this test", early=True)


def put(account: Account, clock: Clock, number: int = 1, **more: Any) -> OutboxCommand:
    told = command(number, **more)
    return outbox.put(
        account, "shipments", told.ref, told, subject=told.order_ref, order_key=told.order_ref, now=clock()
    )


def run(account: Account, clock: Clock) -> Drained:
    return drain(account, "shipments", clock=clock)


def until_settled(account: Account, clock: Clock, *, most: int = 60, minutes: int = 5) -> None:
    """Run every so often, by default as the timetable does, until nothing is open."""
    for _ in range(most):
        run(account, clock)
        if not OutboxCommand.objects.filter(state__in=OutboxCommand.OPEN).exists():
            return
        clock.forward(minutes=minutes)
    raise AssertionError("it never settles")


def test_a_command_goes_out_once_and_is_told_upwards(shop: Account, parcels: Parcels, clock: Clock):
    told = []
    push_settled.connect(lambda command, **_: told.append(command.state), weak=False, dispatch_uid="test")
    try:
        row = put(shop, clock)
        assert (run(shop, clock).accepted, run(shop, clock).accepted) == (1, 0)
    finally:
        push_settled.disconnect(dispatch_uid="test")
    row.refresh_from_db()
    assert (row.state, row.provider_ref, row.attempts, told) == ("accepted", "P-O-1", 1, ["accepted"])
    assert parcels.took == {"O-1": 1}
    (attempt,) = OutboxAttempt.objects.all()
    assert (attempt.kind, attempt.outcome) == ("send", "accepted")


def test_it_is_written_with_the_fact_or_not_at_all_and_asks_for_a_run(shop: Account, clock: Clock):
    class Undone(Exception):
        pass

    with pytest.raises(Undone), transaction.atomic():
        put(shop, clock)
        raise Undone
    assert not OutboxCommand.objects.exists()
    assert not TaskRun.objects.exists()
    with transaction.atomic():
        put(shop, clock, 1)
        put(shop, clock, 2)
        assert not TaskRun.objects.exists(), "nobody may look before the commit"
    assert [run.task for run in TaskRun.objects.all()] == ["shipments.push.toy"], "one run serves both"


def test_nothing_is_sent_inside_a_transaction(shop: Account, parcels: Parcels, clock: Clock):
    put(shop, clock)
    with pytest.raises(RuntimeError), transaction.atomic():
        run(shop, clock)
    assert not parcels.asked


def test_a_waiting_command_is_replaced_by_a_newer_one_of_its_key(shop: Account, parcels: Parcels, clock: Clock):
    first = put(shop, clock, tracking_number="OLD")
    second = put(shop, clock, tracking_number="NEW")
    assert first.pk == second.pk
    run(shop, clock)
    row = OutboxCommand.objects.get()
    assert (row.payload["tracking_number"], row.state, parcels.took) == ("NEW", "accepted", {"O-1": 1})
    put(shop, clock, tracking_number="NEWER")
    assert OutboxCommand.objects.count() == 2, "what was sent is not replaced"


def test_commands_leave_in_the_order_they_were_put(shop: Account, parcels: Parcels, clock: Clock):
    for number in (3, 1, 2):
        put(shop, clock, number)
    run(shop, clock)
    assert [order for _method, order in parcels.asked] == ["O-3", "O-1", "O-2"]


def test_a_second_parcel_of_an_order_waits_for_the_first_and_no_other_order_does(
    shop: Account, parcels: Parcels, clock: Clock
):
    parcels.faults = ["after"]
    parcels.lag = 1
    put(shop, clock, 1)
    put(shop, clock, 1, ref="201")
    put(shop, clock, 2)
    run(shop, clock)
    states = dict(OutboxCommand.objects.values_list("key", "state"))
    assert states == {"101": "unknown", "201": "waiting", "102": "accepted"}
    until_settled(shop, clock)
    assert parcels.took == {"O-1": 2, "O-2": 1}, "two parcels, each told once"


def test_a_refusal_ends_it_in_the_marketplaces_words(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults = ["refuse"]
    row = put(shop, clock)
    assert run(shop, clock).refused == 1
    run(shop, clock)
    row.refresh_from_db()
    assert (row.state, row.message) == ("refused", "The carrier is not known here.")
    assert parcels.asked == [("POST", "O-1")]


def test_being_slowed_down_waits_and_counts_as_no_attempt(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults = ["429"]
    row = put(shop, clock, 1)
    put(shop, clock, 2)
    done = run(shop, clock)
    assert (done.state, done.retry_after) == ("waiting", timedelta(seconds=60))
    assert parcels.asked == [("POST", "O-1")], "nobody else of the account knocks either"
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("waiting", 0)
    clock.forward(seconds=61)
    run(shop, clock)
    row.refresh_from_db()
    assert (row.state, row.attempts, parcels.took) == ("accepted", 1, {"O-1": 1, "O-2": 1})


def test_a_refused_sign_in_stops_this_flow_and_says_so(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults = ["401"]
    row = put(shop, clock)
    run(shop, clock)
    row.refresh_from_db()
    flow = PushFlow.objects.get()
    assert (row.state, row.attempts, flow.mode) == ("waiting", 0, "stopped")
    assert "sign-in" in flow.why
    clock.forward(hours=1)
    run(shop, clock)
    assert len(parcels.asked) == 1
    live(shop, clock)
    run(shop, clock)
    assert parcels.took == {"O-1": 1}


def test_what_is_not_there_is_looked_up_several_times_before_it_is_sent_again(
    shop: Account, parcels: Parcels, clock: Clock
):
    parcels.faults = ["before"]
    put(shop, clock)
    until_settled(shop, clock)
    methods = [method for method, _order in parcels.asked]
    assert methods == ["POST", "GET", "GET", "GET", "POST"]
    assert parcels.took == {"O-1": 1}


def test_what_shows_late_is_not_sent_again(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults, parcels.lag = ["after"], 2
    put(shop, clock)
    until_settled(shop, clock)
    assert [method for method, _order in parcels.asked] == ["POST", "GET", "GET", "GET"]
    assert parcels.took == {"O-1": 1}


def test_a_refusal_of_a_second_sending_is_checked_before_it_is_believed(shop: Account, parcels: Parcels, clock: Clock):
    """The first call took effect, the look came too early by a fault of theirs, the second is refused as done."""
    parcels.faults, parcels.lag = ["after", "refuse"], 3
    row = put(shop, clock)
    until_settled(shop, clock)
    row.refresh_from_db()
    assert (row.state, parcels.took) == ("accepted", {"O-1": 1})
    parcels.faults, parcels.lag = ["before", "refuse"], 0
    other = put(shop, clock, 2)
    until_settled(shop, clock)
    other.refresh_from_db()
    assert (other.state, other.message) == ("refused", "The carrier is not known here.")


def test_it_is_given_up_after_so_many_sendings(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults = ["before"] * 50
    row = put(shop, clock)
    until_settled(shop, clock, minutes=10)
    row.refresh_from_db()
    sent = [method for method, _order in parcels.asked].count("POST")
    assert (row.state, sent, parcels.took["O-1"]) == ("given_up", MOST_SENDS, 0)
    assert clock() - row.created_at > timedelta(hours=2), "the pauses grow"
    assert outbox.look_again([row], now=clock()) == 1
    parcels.faults = []
    until_settled(shop, clock)
    row.refresh_from_db()
    assert (row.state, parcels.took["O-1"]) == ("accepted", 1)


def test_when_nobody_can_find_out_people_decide_after_three_days(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults, parcels.down = ["after"], True
    row = put(shop, clock)
    until_settled(shop, clock, minutes=120)
    row.refresh_from_db()
    assert row.state == "given_up"
    assert "find out" in row.message
    assert parcels.took == {"O-1": 1}
    assert [method for method, _order in parcels.asked].count("POST") == 1


def test_a_sender_that_was_taken_over_writes_nothing(shop: Account, parcels: Parcels, clock: Clock):
    row = put(shop, clock)
    zombie = outbox_claims.claim_next(shop, "shipments", may_send=True, now=clock())
    assert zombie is not None
    assert outbox_claims.claim_next(shop, "shipments", may_send=True, now=clock()) is None
    until_settled(shop, clock)
    row.refresh_from_db()
    assert (row.state, parcels.took) == ("accepted", {"O-1": 1})
    with pytest.raises(Superseded), transaction.atomic():
        zombie.settle("refused", outcome="refused", now=clock())
    row.refresh_from_db()
    assert row.state == "accepted"
    assert OutboxAttempt.objects.order_by("pk").first().outcome == "unknown"


def test_only_one_sends_for_an_account(shop: Account, parcels: Parcels, clock: Clock):
    put(shop, clock)
    other = connection.copy()
    with closing(other), other.cursor() as cursor:
        key = f"outbox:{shop.client_id}:{shop.pk}:shipments"
        cursor.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
        assert run(shop, clock).state == "busy"
        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
    assert not parcels.asked
    assert run(shop, clock).accepted == 1


def test_one_broken_account_blocks_nobody(shop: Account, parcels: Parcels, clock: Clock):
    other = toy_account("toy-2")
    live(other, clock)
    parcels.faults = ["401"]
    put(shop, clock, 1)
    put(other, clock, 2)
    assert run(shop, clock).state == "waiting"
    assert run(other, clock).accepted == 1
    Account.objects.filter(pk=shop.pk).update(status=Account.Status.BROKEN)
    shop.refresh_from_db()
    assert run(shop, clock).state == "off"


def test_the_job_sends_what_was_put_and_comes_back_for_what_is_open(shop: Account, parcels: Parcels, clock: Clock):
    """The run that the commit asked for, as a worker executes it; then the one the timetable fires for all accounts."""
    clock.now = wall_clock()
    parcels.faults = ["after"]
    put(shop, clock)
    run = TaskRun.objects.get()
    assert runner.execute("shipments.push.{channel}", run.client_id, run.pk) == "queued"
    run.refresh_from_db()
    assert run.not_before > wall_clock(), "it comes back to look, without counting an error"
    assert (run.errors, OutboxCommand.objects.get().state) == (0, "unknown")
    clock.now = wall_clock()
    put(shop, clock, 2)
    put(shop, clock, 3, ref="103")
    assert TaskRun.objects.filter(state="queued").count() == 2, "one that has begun serves nobody new"
    assert firing.fire("shipments.push.toy", now=clock()) == 1
    fired = TaskRun.objects.order_by("-pk").first()
    assert runner.execute("shipments.push.{channel}", fired.client_id, fired.pk) in ("queued", "done")
    assert parcels.took == {"O-1": 1, "O-2": 1, "O-3": 1}


# ── shadow, stop, bursts ────────────────────────────────────────────────────────────────────────────────────────────
def test_a_new_account_is_in_shadow_and_nothing_leaves(parcels: Parcels, clock: Clock):
    account = toy_account("toy-1")
    row = put(account, clock)
    assert (row.state, PushFlow.objects.get().mode) == ("held", "shadow")
    run(account, clock)
    live(account, clock)
    run(account, clock)
    row.refresh_from_db()
    assert (row.state, parcels.asked) == ("held", []), "going live sends nothing that was formed before"
    assert outbox.release([row], now=clock()) == 1
    run(account, clock)
    assert parcels.took == {"O-1": 1}


def test_what_waits_when_shadow_begins_is_held(shop: Account, parcels: Parcels, clock: Clock):
    row = put(shop, clock)
    push_flows.set_mode(PushFlow.objects.get(), "shadow", actor="ann", now=clock())
    run(shop, clock)
    row.refresh_from_db()
    assert (row.state, parcels.asked) == ("held", [])


def test_stop_everything_stops_sending_and_still_finds_out_what_arrived(shop: Account, parcels: Parcels, clock: Clock):
    parcels.faults, parcels.lag = ["after"], 1
    first = put(shop, clock, 1)
    run(shop, clock)
    push_flows.stop_everything(actor="ann", now=clock(), why="wrong warehouse")
    second = put(shop, clock, 2)
    for _ in range(4):
        clock.forward(minutes=5)
        run(shop, clock)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state, parcels.took) == ("accepted", "waiting", {"O-1": 1})
    push_flows.allow_again(actor="ann", now=clock())
    run(shop, clock)
    assert parcels.took == {"O-1": 1, "O-2": 1}
    audited = AuditEntry.objects.filter(table="marketplaces_pushswitch").order_by("pk")
    assert [entry.after["is_stopped"] for entry in audited] == [True, False]


def test_a_burst_stops_the_flow_until_somebody_has_looked(shop: Account, parcels: Parcels, clock: Clock):
    PushFlow.objects.update(most_at_once=2)
    clock.forward(hours=2)
    for number in range(1, 5):
        put(shop, clock, number)
    run(shop, clock)
    flow = PushFlow.objects.get()
    assert (flow.mode, parcels.asked) == ("stopped", [])
    assert flow.why.startswith("4 commands")
    live(shop, clock)
    run(shop, clock)
    assert sum(parcels.took.values()) == 4


def test_an_installation_that_is_not_production_never_writes_to_a_live_marketplace(
    shop: Account, parcels: Parcels, clock: Clock, settings: Any
):
    Account.objects.filter(pk=shop.pk).update(environment=Account.Environment.LIVE)
    shop.refresh_from_db()
    row = put(shop, clock)
    run(shop, clock)
    assert (row.state, parcels.asked) == ("held", [])
    with pytest.raises(Refused):
        live(shop, clock)
    settings.LIVE_PUSHES = True
    live(shop, clock)
    assert put(shop, clock, 2).state == "waiting"


def test_a_command_given_up_by_hand_is_not_sent(shop: Account, parcels: Parcels, clock: Clock):
    row = put(shop, clock)
    assert outbox.give_up([row], actor="ann", now=clock()) == 1
    run(shop, clock)
    row.refresh_from_db()
    assert (row.state, row.message, parcels.asked) == ("given_up", "Given up by ann.", [])
