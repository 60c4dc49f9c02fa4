"""What is counted instead of opened, and that nothing a person has seen is lost by it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tickets.models import Ticket
from tickets.services import workflow
from tickets.services.gather import CAP
from tickets.tests.test_engine import DAY, NOW, Bench
from tickets.tests.test_engine import bench as bench  # the fixture

pytestmark = pytest.mark.db


def see(bench: Bench, amounts: dict[str, int], **changes: Any) -> None:
    """The detector sees these, with this much at stake."""
    bench.seen = [bench.item(name, amount=Decimal(-amount), **changes) for name, amount in amounts.items()]


def test_a_ticket_that_rested_wakes_up_to_date_although_the_cap_is_reached(bench: Bench) -> None:
    bench.start()
    first = {f"a{n}": 30 for n in range(CAP)}
    see(bench, first)
    bench.run()
    for ticket in Ticket.objects.filter(fingerprint__in=["key:a0", "key:a1"]):
        workflow.snooze(ticket, until=NOW + 2 * DAY, reason="later", actor="me", now=NOW)
    more = {**first, "b0": 60, "b1": 60, "b2": 60}
    see(bench, more)
    bench.run(NOW + DAY)
    assert Ticket.objects.filter(state="open").count() == CAP
    see(bench, {name: amount * 2 for name, amount in more.items()})
    bench.run(NOW + 3 * DAY)
    woken = Ticket.objects.filter(fingerprint__in=["key:a0", "key:a1"]).values_list("state", "amounts")
    assert list(woken) == [("open", {"EUR": "-60.00"})] * 2
    assert Ticket.objects.filter(impact_day=2).count() == CAP
    group = Ticket.objects.get(fingerprint="key:a0").group
    assert group is not None
    assert (group.overflow_count, group.overflow_impact_day) == (1, Decimal("4.00"))


def test_many_crumbs_together_weigh_what_they_add_up_to(bench: Bench) -> None:
    bench.start()
    bench.seen = [bench.item(f"n{n}", amount=Decimal("-0.12"), ticket_key="same") for n in range(300)]
    bench.run()
    ticket = Ticket.objects.get()
    assert (ticket.amounts, ticket.impact_day) == ({"EUR": "-36.00"}, Decimal("1.20"))


def test_a_ticket_whose_successor_is_open_is_not_opened_again(bench: Bench) -> None:
    bench.start()
    bench.sees("a")
    bench.run()
    bench.sees()
    bench.run(NOW + timedelta(hours=1))
    bench.run(NOW + timedelta(hours=2))
    bench.sees("a")
    bench.run(NOW + 20 * DAY)
    old, new = Ticket.objects.order_by("number")
    assert (old.state, new.state) == ("resolved", "open")
    with pytest.raises(workflow.NotAllowed, match=f"#{new.number}"):
        workflow.reopen(old, reason="again", actor="me", now=NOW + 20 * DAY)
