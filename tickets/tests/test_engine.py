"""The detection engine: opening, holding, starting positions, caps, closing, and never judging by stale data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.models import Client, User
from marketplaces.models import Account, Stream
from tickets.detector import Category, Detector, Level, Look, Seen
from tickets.models import Finding, StartingPosition, Ticket
from tickets.services import engine, workflow
from tickets.services.gather import CAP

NOW = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


class Bench:
    """A detector whose findings the test writes down."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.seen: list[Seen] = []
        self.detector = Detector(
            name="test_type", label="Test", category=Category.FINANCIAL, job="detect.test", find=self.find,
            inputs=("orders",), open_after=1, close_after=2,
        )  # fmt: skip

    def find(self, look: Look) -> Iterator[Seen]:
        yield from self.seen

    def sees(self, *names: str, **changes: Any) -> None:
        self.seen = [self.item(name, **changes) for name in names]

    def item(self, name: str, **changes: Any) -> Seen:
        values: dict[str, Any] = {
            "check": "test", "fingerprint": name, "ticket_key": f"key:{name}", "title": f"finding {name}",
            "ticket_title": f"ticket {name}", "cause": "cause", "action": "do it", "account_id": self.account.pk,
            "amount": Decimal("-30.00"), "currency": "EUR",
        }  # fmt: skip
        return Seen(**(values | changes))

    def run(self, now: datetime = NOW) -> engine.Outcome:
        Stream.objects.filter(account=self.account).update(complete_until=now)
        return engine.run(self.detector, now=now)

    def start(self) -> None:
        """Take an empty starting position, so that later runs open tickets."""
        self.sees()
        self.run(NOW - DAY)


@pytest.fixture
def bench(acting: Client) -> Bench:
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")
    Stream.objects.create(account=account, flow="orders", complete_until=NOW)
    return Bench(account)


def test_the_first_run_writes_a_starting_position_and_opens_nothing(bench: Bench) -> None:
    bench.sees("a", "b")
    outcome = bench.run()
    assert (outcome.found, outcome.opened) == (2, 0)
    position = StartingPosition.objects.get()
    assert (position.count, position.amounts) == (2, {"EUR": "-60.00"})
    assert set(Finding.objects.values_list("state", flat=True)) == {"starting"}
    assert bench.run(NOW + DAY).opened == 0


def test_what_is_new_after_the_start_opens_a_ticket_with_its_money(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    assert bench.run().opened == 1
    ticket = Ticket.objects.get()
    assert (ticket.title, ticket.amounts, ticket.impact_day) == ("ticket a", {"EUR": "-30.00"}, Decimal("1.00"))
    assert ticket.severity == "S4"
    assert Finding.objects.get(fingerprint="a").ticket_id == ticket.pk


def test_a_finding_of_the_start_that_gets_worse_opens(bench: Bench) -> None:
    bench.sees("a")
    bench.run(NOW - DAY)
    bench.sees("a", amount=Decimal("-35.00"))
    assert bench.run().opened == 0
    bench.sees("a", amount=Decimal("-60.00"))
    assert bench.run(NOW + DAY).opened == 1


def test_findings_alike_share_one_ticket(bench: Bench) -> None:
    bench.start()
    bench.sees("a", "b", "c", ticket_key="rate 15 instead of 12")
    bench.run()
    ticket = Ticket.objects.get()
    assert (ticket.finding_count, ticket.amounts) == (3, {"EUR": "-90.00"})


def test_running_again_changes_nothing(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    before = Ticket.objects.values().get()
    again = bench.run()
    assert (again.opened, again.updated, again.resolved) == (0, 0, 0)
    assert Ticket.objects.values().get() == before


def test_a_ticket_closes_itself_after_two_healthy_runs_and_not_one(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    bench.sees()
    assert bench.run(NOW + DAY).resolved == 0
    assert bench.run(NOW + 2 * DAY).resolved == 1
    ticket = Ticket.objects.get()
    assert (ticket.state, ticket.resolution) == ("resolved", "gone")
    assert ticket.events.filter(what="resolved").exists()


def test_a_finding_that_only_holds_opens_nothing_but_keeps_a_ticket_open(bench: Bench) -> None:
    bench.start()
    bench.sees("a", level=Level.HOLD)
    assert bench.run().opened == 0
    bench.sees("a")
    assert bench.run(NOW + DAY).opened == 1
    bench.sees("a", level=Level.HOLD)
    bench.run(NOW + 2 * DAY)
    bench.run(NOW + 3 * DAY)
    assert Ticket.objects.get().state == "open"


def test_nothing_closes_on_stale_data(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    bench.sees()
    for days in (5, 6, 7):
        outcome = engine.run(bench.detector, now=NOW + days * DAY)
        assert outcome.stale == ["amazon-eu"]
    assert Ticket.objects.get().state == "open"


def test_what_comes_back_within_two_weeks_is_the_same_ticket(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    bench.sees()
    bench.run(NOW + DAY)
    bench.run(NOW + 2 * DAY)
    bench.sees("a")
    bench.run(NOW + 9 * DAY)
    ticket = Ticket.objects.get()
    assert (ticket.state, ticket.resolution, ticket.resolved_at) == ("open", "", None)


def test_the_history_holds_every_change_of_state_with_its_moment_who_and_why(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    bench.sees()
    bench.run(NOW + DAY)
    bench.run(NOW + 2 * DAY)
    bench.sees("a")
    bench.run(NOW + 3 * DAY)
    ticket = Ticket.objects.get()
    workflow.snooze(ticket, until=NOW + 5 * DAY, reason="later", actor="me", now=NOW + 4 * DAY)
    bench.run(NOW + 4 * DAY)
    bench.run(NOW + 6 * DAY)
    bench.run(NOW + 7 * DAY)
    ticket.refresh_from_db()
    assert (ticket.state, ticket.snoozed_until) == ("open", None)
    assert list(ticket.events.order_by("at", "pk").values_list("what", "actor", "at", "detail")) == [
        ("opened", "detector", NOW, "cause"),
        ("resolved", "detector", NOW + 2 * DAY, "The condition is gone."),
        ("reopened", "detector", NOW + 3 * DAY, "It is there again. cause"),
        ("snoozed", "me", NOW + 4 * DAY, "2026-11-25 later"),
        ("woken", "detector", NOW + 6 * DAY, "Its rest is over and it is still there. cause"),
    ]


def test_a_ticket_given_back_is_worked_on_by_nobody(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    ticket, ann = Ticket.objects.get(), User.objects.create_user("ann@example.com", "a long password")
    workflow.assign(ticket, to=ann, actor="ann@example.com", now=NOW)
    assert (ticket.state, ticket.assignee) == ("working", ann)
    workflow.assign(ticket, to=None, actor="ann@example.com", now=NOW)
    assert (ticket.state, ticket.assignee) == ("open", None)
    assert list(ticket.events.filter(what="assigned").order_by("pk").values_list("detail", flat=True)) == [
        "ann@example.com", "nobody",
    ]  # fmt: skip


def test_a_ticket_closed_by_hand_stays_closed_for_a_week_then_comes_back(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    workflow.resolve(Ticket.objects.get(), how="accepted", reason="small", actor="me", now=NOW)
    bench.run(NOW + 3 * DAY)
    assert Ticket.objects.get().state == "resolved"
    bench.run(NOW + 8 * DAY)
    assert Ticket.objects.get().state == "open"


def test_above_the_cap_the_rest_is_counted_not_hidden(bench: Bench) -> None:
    bench.start()
    bench.seen = [bench.item(f"n{i:02}", amount=Decimal(-30 * (i + 1))) for i in range(CAP + 3)]
    bench.run()
    assert Ticket.objects.count() == CAP
    group = Ticket.objects.first().group  # type: ignore[union-attr]
    assert (group.overflow_count, group.overflow_impact_day) == (3, Decimal("6.00"))  # the three cheapest: 1 + 2 + 3


def test_a_suppressed_finding_opens_nothing(bench: Bench) -> None:
    bench.start()
    bench.sees("a", suppressed_by="stock is zero")
    outcome = bench.run()
    assert (outcome.opened, outcome.suppressed) == (0, 1)


def test_severity_follows_money_and_deadline(bench: Bench) -> None:
    bench.start()
    bench.seen = [
        bench.item("big", amount=Decimal("-15000")),
        bench.item("soon", amount=Decimal("-1050"), deadline_at=NOW + timedelta(hours=5)),
        bench.item("calm", amount=Decimal("-1050")),
    ]
    bench.run()
    assert dict(Ticket.objects.values_list("fingerprint", "severity")) == {
        "key:big": "S1",
        "key:soon": "S2",
        "key:calm": "S3",
    }


def test_money_without_a_rate_has_no_impact_instead_of_zero(bench: Bench) -> None:
    bench.start()
    bench.sees("a", currency="AUD")
    bench.run()
    assert Ticket.objects.get().impact_day is None


@pytest.mark.parametrize("step", ["twice resolved", "snoozed into the past", "reopened while open"])
def test_steps_that_do_not_fit_are_refused(bench: Bench, step: str) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    ticket = Ticket.objects.get()
    with pytest.raises(workflow.NotAllowed):
        if step == "twice resolved":
            workflow.resolve(ticket, how="fixed", reason="", actor="me", now=NOW)
            workflow.resolve(ticket, how="fixed", reason="", actor="me", now=NOW)
        elif step == "snoozed into the past":
            workflow.snooze(ticket, until=NOW - DAY, reason="", actor="me", now=NOW)
        else:
            workflow.reopen(ticket, reason="", actor="me", now=NOW)


def test_the_number_of_queries_does_not_grow_with_findings(bench: Bench) -> None:
    bench.start()
    counts = []
    for size in (2, 9):
        Finding.objects.all().delete()
        Ticket.objects.all().delete()
        bench.sees(*[f"n{i}" for i in range(size)])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            bench.run()
        counts.append(len(queries))
    assert counts[0] == counts[1]
