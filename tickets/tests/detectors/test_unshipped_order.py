"""Waves are information until the pace says otherwise; only what lies outside the flow has a ticket of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.models import CalendarDay, Client
from domventas.tests.filler import make
from marketplaces.models import Account, Site
from orders.models import Order, OrderLine
from tickets.detector import Look, Seen
from tickets.detectors.unshipped_order import unshipped_order
from tickets.models import Finding, Ticket
from tickets.services import engine

#: A Monday morning in Berlin: nine of its ten working hours are left.
NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
EVENING = datetime(2026, 11, 23, 17, tzinfo=UTC)
Place = Callable[..., Order]


@pytest.fixture
def place(acting: Client) -> Place:
    """Makes orders of one account and site."""
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")
    site = Site.objects.get(code="amazon.de")

    def order(ship_by: datetime | None = EVENING, *, shipped_at: datetime | None = None, **values: Any) -> Order:
        status = values.pop("status", "shipped" if shipped_at else "to_ship")
        hold = values.pop("hold", "")
        given = {
            "account": account, "site": site, "currency": "EUR", "fulfillment": "seller", "status": status,
            "ship_by": ship_by, "ordered_at": NOW - timedelta(days=1), "stated_total": Decimal(30),
        }  # fmt: skip
        made = make(Order, **(given | values))
        make(OrderLine, order=made, account_id=account.pk, status=status, hold=hold, shipped_at=shipped_at, quantity=1)
        return made

    return order


def seen(now: datetime = NOW) -> list[Seen]:
    return list(unshipped_order.find(Look(now=now, limits=unshipped_order.limits)))


def lived(place: Place, per_day: list[int]) -> None:
    """Orders shipped on the Mondays before, the youngest first."""
    for weeks, count in enumerate(per_day, start=1):
        for _ in range(count):
            place(shipped_at=NOW - timedelta(weeks=weeks))


def test_a_wave_that_will_be_done_is_one_ticket_of_information(place: Place) -> None:
    lived(place, [10, 10, 10, 10])  # one an hour
    for _ in range(9):
        place()
    found = seen()
    assert len(found) == 9 and len({item.ticket_key for item in found}) == 1
    assert {(item.check, item.severity, item.impact_day) for item in found} == {("wave", "", Decimal(0))}
    assert "Normal work" in found[0].cause and found[0].ticket_title.startswith("9 orders to ship by 2026-11-23")


def test_a_wave_beyond_the_usual_pace_is_grave_and_beyond_the_best_one_the_gravest(place: Place) -> None:
    lived(place, [10, 10, 10, 14])  # 1.1 an hour as a rule, 1.4 at best: 9.9 and 12.6 in nine hours
    for _ in range(9):
        place()
    assert {item.severity for item in seen()} == {""}
    place()
    assert {item.severity for item in seen()} == {"S2"}
    for _ in range(3):
        place()
    found = seen()
    assert len(found) == 13 and {item.severity for item in found} == {"S1"}
    assert "best pace" in found[0].cause and "choose the 1 that will be late" in found[0].action


def test_without_any_pace_a_wave_only_informs(place: Place) -> None:
    place()
    (item,) = seen()
    assert item.severity == "" and "no pace yet" in item.cause


def test_a_holiday_is_no_comparable_day_and_stops_the_clock(place: Place) -> None:
    lived(place, [10, 0, 10, 10, 10])  # nothing went out two weeks ago: nobody worked
    for _ in range(9):
        place()
    assert {item.severity for item in seen()} == {"S2"}, "a day without work would count as slow work"
    CalendarDay.objects.create(country="DE", day=(NOW - timedelta(weeks=2)).date(), is_worked=False)
    assert {item.severity for item in seen()} == {""}
    CalendarDay.objects.create(country="DE", day=NOW.date(), is_worked=False, note="inventory")
    assert {item.severity for item in seen()} == {"S1"}, "no working hour is left"


def test_waves_go_by_account_site_and_day(place: Place) -> None:
    place()
    place(site=Site.objects.get(code="amazon.fr"))
    place(EVENING + timedelta(days=1))
    assert len({item.ticket_key for item in seen()}) == 3


def test_late_and_held_orders_have_tickets_of_their_own(place: Place) -> None:
    late, held = place(NOW - timedelta(days=3)), place(hold="unmapped")
    by_check = {item.check: item for item in seen()}
    assert set(by_check) == {"late", "held"}
    assert by_check["late"].refs["order"] == late.external_id and by_check["late"].severity == "S2"
    assert "10 working hours ago" in by_check["late"].cause  # the weekend does not count: Friday 8 to 18, in Berlin
    assert by_check["held"].refs["order"] == held.external_id
    assert by_check["held"].suppressed_by == "missing_product_data"


def test_a_wave_says_how_many_orders_of_its_day_are_held_and_none_of_it(place: Place) -> None:
    place()
    place()
    for ship_by in (EVENING, EVENING, EVENING, EVENING + timedelta(days=1), NOW - timedelta(hours=1)):
        place(ship_by, hold="unmapped")
    waves = [item for item in seen() if item.check == "wave"]
    assert {item.ticket_title for item in waves} == {"2 orders to ship by 2026-11-23, amazon.de; 3 more are held"}
    assert len(waves) == 2 and waves[0].facts["held besides"] == 3
    assert "Not among them: 3 orders of that day that wait for an unknown offer" in waves[0].cause


def test_a_wave_is_told_whole_once_its_first_order_is_near(place: Place) -> None:
    near, later = NOW + timedelta(hours=47), NOW + timedelta(hours=53)  # both on Wednesday in Berlin
    place(later)
    place(later, hold="unmapped")
    assert seen() == []
    place(near)
    place(NOW + timedelta(hours=65))
    found = seen()
    assert [item.check for item in found] == ["wave", "wave"]
    assert {item.ticket_title for item in found} == {"2 orders to ship by 2026-11-25, amazon.de; 1 more is held"}


def test_exactly_at_its_ship_by_an_order_is_not_late(place: Place) -> None:
    place(NOW)
    assert [item.check for item in seen(NOW)] == ["wave"]
    assert [item.check for item in seen(NOW + timedelta(seconds=1))] == ["late"]


@pytest.mark.parametrize(("hours", "severity"), [(4.9, None), (5, "S2"), (9.9, "S2"), (10, "S1")])
def test_an_order_to_accept_is_told_at_half_of_its_window(place: Place, hours: float, severity: str | None) -> None:
    place(None, status="to_accept", ordered_at=datetime(2026, 11, 23, 7, tzinfo=UTC))
    assert [item.severity for item in seen(datetime(2026, 11, 23, 7, tzinfo=UTC) + timedelta(hours=hours))] == (
        [severity] if severity else []
    )


@pytest.mark.parametrize(
    "values",
    [{"status": "shipped"}, {"status": "canceled"}, {"fulfillment": "marketplace"}, {"ship_by": None},
     {"ship_by": NOW + timedelta(hours=49)}],
)  # fmt: skip
def test_what_is_not_ours_to_ship_now_is_not_found(place: Place, values: dict[str, Any]) -> None:
    place(**{"ship_by": EVENING, **values})
    assert seen() == []


def test_the_engine_opens_one_ticket_per_wave_and_closes_it_when_it_left(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.freshness, "stale_accounts", lambda flows, *, now: set())
    engine.run(unshipped_order, now=NOW - timedelta(minutes=10))  # the starting position
    lived(place, [10, 10, 10, 10])
    for _ in range(20):
        place()
    engine.run(unshipped_order, now=NOW)
    (ticket,) = Ticket.objects.all()
    assert (ticket.severity, ticket.finding_count, ticket.amounts) == ("S1", 20, {"EUR": "600.00"})
    Order.objects.filter(status="to_ship").update(status="shipped")
    engine.run(unshipped_order, now=NOW + timedelta(minutes=10))
    ticket.refresh_from_db()
    assert (ticket.state, ticket.resolution) == ("resolved", "gone")
    assert not Finding.objects.exclude(state="gone").exists()


def test_the_number_of_queries_does_not_grow_with_orders(place: Place) -> None:
    counts = []
    for more in (2, 18):
        for _ in range(more):
            place()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            seen()
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4
