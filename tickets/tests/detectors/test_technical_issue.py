"""One incident per account and flow: late, refused, failing, held back, odd, thin, absent; and stopped jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from domventas.core.models import Client, TaskRun
from domventas.tests.filler import make
from finance.models import Settlement
from marketplaces.models import Account, Quarantined, SchemaDrift, Stream, StreamDay, SyncWindow
from marketplaces.registry import connectors
from marketplaces.selectors.trouble import by_chance
from marketplaces.services import streams
from tickets.detector import Level, Look, Seen
from tickets.detectors.technical_issue import technical_issue
from tickets.models import Ticket
from tickets.services import engine

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TARGET = connectors["amazon"].flows["orders"].freshness


@pytest.fixture
def account(acting: Client) -> Iterator[Account]:
    """An account whose streams are all fresh."""
    account = Account.objects.create(code="amazon-eu", name="Amazon EU", channel="amazon", external_id="X")
    streams.ensure(account)
    Stream.objects.update(complete_until=NOW, last_success_at=NOW)
    yield account


def seen(now: datetime = NOW) -> list[Seen]:
    return list(technical_issue.find(Look(now=now, limits=technical_issue.limits)))


def orders_of(account: Account) -> Stream:
    return Stream.objects.get(account=account, flow="orders")


def test_where_all_is_well_nothing_is_found(account: Account) -> None:
    assert seen() == []


@pytest.mark.parametrize(
    ("age", "level"),
    [(TARGET, None), (TARGET * 1.5, Level.HOLD), (TARGET * 2, Level.HOLD), (TARGET * 2.01, Level.OPEN)],
)
def test_a_flow_is_late_beyond_twice_its_target_and_stays_so_down_to_once(
    account: Account, age: timedelta, level: Level | None
) -> None:
    Stream.objects.filter(flow="orders").update(complete_until=NOW - age)
    assert [item.level for item in seen()] == ([level] if level else [])


def test_a_refused_sign_in_is_told_for_each_flow_and_orders_are_the_gravest(account: Account) -> None:
    Account.objects.update(status="broken")
    found = {item.refs["flow"]: item for item in seen()}
    assert set(found) == set(connectors["amazon"].flows)
    assert (found["orders"].severity, found["settlements"].severity, found["offers"].severity) == ("S1", "S2", "S3")
    assert found["orders"].check == "sign_in" and "credentials" in found["orders"].action


def test_what_people_paused_is_no_trouble(account: Account) -> None:
    Stream.objects.update(is_paused=True, complete_until=NOW - timedelta(days=9))
    assert seen() == []


@pytest.mark.parametrize(
    ("failed", "fine", "level"), [(1, 3, None), (1, 4, Level.HOLD), (2, 7, Level.OPEN), (1, 20, None), (0, 9, None)]
)
def test_readings_fail_too_often(account: Account, failed: int, fine: int, level: Level | None) -> None:
    for status, count in (("failed", failed), ("done", fine)):
        for _ in range(count):
            make(SyncWindow, stream=orders_of(account), status=status, started_at=NOW - timedelta(minutes=30))
    make(SyncWindow, stream=orders_of(account), status="failed", started_at=NOW - timedelta(hours=2))
    assert [item.level for item in seen()] == ([level] if level else [])


def test_records_in_quarantine_are_told_after_an_hour(account: Account) -> None:
    make(Quarantined, account=account, flow="orders", first_seen_at=NOW - timedelta(hours=1), resolved_at=None)
    assert seen() == []
    make(Quarantined, account=account, flow="orders", first_seen_at=NOW - timedelta(minutes=61), resolved_at=None)
    (item,) = seen()
    assert item.check == "quarantine" and item.facts["records"] == 1


def test_a_new_value_is_told_when_it_comes_often_and_forgotten_when_it_stays_away(account: Account) -> None:
    drift = make(
        SchemaDrift, account=account, flow="orders", path="status", value="LOST", seen_count=9, last_seen_at=NOW
    )
    assert seen() == []
    SchemaDrift.objects.filter(pk=drift.pk).update(seen_count=10)
    (item,) = seen()
    assert (item.check, item.severity) == ("drift", "S3") and "LOST" in item.cause
    SchemaDrift.objects.filter(pk=drift.pk).update(last_seen_at=NOW - timedelta(hours=25))
    assert seen() == []


def brought(account: Account, last: int, before: int, *, days: int = 36) -> None:
    """`before` orders on every day of the weeks before, `last` yesterday."""
    today = NOW.date()
    for n in range(1, days):
        make(
            StreamDay,
            account=account,
            flow="orders",
            day=today - timedelta(days=n),
            accepted=last if n == 1 else before,
        )


@pytest.mark.parametrize(("last", "before", "found"), [(8, 40, True), (25, 40, False), (40, 40, False), (0, 21, True)])
def test_a_thin_day_is_told_although_everything_is_green(account: Account, last: int, before: int, found: bool) -> None:
    brought(account, last, before)
    assert [item.check for item in seen()] == (["thin"] if found else [])


def test_where_a_day_brings_three_orders_a_week_without_any_is_told_and_a_day_is_not(account: Account) -> None:
    brought(account, 0, 3)
    assert seen() == []
    StreamDay.objects.filter(day__gte=NOW.date() - timedelta(days=7)).update(accepted=0)
    (item,) = seen()
    assert (item.check, item.facts["days"], item.facts["rows"]) == ("thin", 7, 0)


def test_a_young_account_has_no_usual(account: Account) -> None:
    brought(account, 0, 40, days=20)
    assert seen() == []


def test_chance_is_that_of_poisson() -> None:
    assert by_chance(0, 3.0) == pytest.approx(0.049787, rel=1e-4)
    assert by_chance(2, 3.0) == pytest.approx(0.423190, rel=1e-4)
    assert by_chance(5000, 5000.0) == pytest.approx(0.5, abs=0.01)


def settled(account: Account, *ends: int, **values: Any) -> None:
    for days in ends:
        make(Settlement, account=account, currency="EUR", status="loaded", settlement_ref=f"S{days}{values}",
             period_end=NOW - timedelta(days=days), **values)  # fmt: skip


def test_a_statement_that_should_be_here_is_told_by_the_accounts_own_cycle(account: Account) -> None:
    settled(account, 17, 31, 45)
    assert seen() == [], "three tell no cycle"
    settled(account, 59)
    assert seen() == [], "fourteen days and a quarter are not over"
    (item,) = seen(NOW + timedelta(days=1))[-1:]
    assert (item.check, item.severity, item.facts["cycle"]) == ("absent", "S2", 14)


def test_stopped_jobs_are_told_after_an_hour_until_somebody_requeues_them(account: Account) -> None:
    run = make(TaskRun, task="orders.pull.amazon", account_id=account.pk, state="quarantined", note="killed thrice",
               ended_at=NOW - timedelta(minutes=61), slot=NOW)  # fmt: skip
    (item,) = seen()
    assert (item.check, item.cause) == ("job", "killed thrice")
    TaskRun.objects.filter(pk=run.pk).update(state="queued")
    assert seen() == []


def test_an_incident_folds_its_children_and_opens_on_the_first_run(account: Account) -> None:
    Stream.objects.filter(flow="orders").update(complete_until=NOW - TARGET * 3)
    make(Quarantined, account=account, flow="orders", first_seen_at=NOW - timedelta(hours=3), resolved_at=None)
    engine.run(technical_issue, now=NOW)
    (ticket,) = Ticket.objects.all()
    assert (ticket.severity, ticket.finding_count, ticket.state) == ("S1", 2, "open")
    Quarantined.objects.update(resolved_at=NOW)
    Stream.objects.update(complete_until=NOW + timedelta(hours=1))
    for minutes in (15, 30, 45):
        engine.run(technical_issue, now=NOW + timedelta(minutes=minutes))
        assert Ticket.objects.get().state == "open", "not before an hour without trouble"
    engine.run(technical_issue, now=NOW + timedelta(minutes=60))
    assert Ticket.objects.get().state == "resolved"


def test_the_number_of_queries_does_not_grow_with_rows(account: Account) -> None:
    counts = []
    for more in (2, 18):
        for n in range(more):
            make(Quarantined, account=account, flow="orders", first_seen_at=NOW - timedelta(hours=3), resolved_at=None)
            make(SchemaDrift, account=account, flow="orders", seen_count=50, last_seen_at=NOW, value=f"{more}-{n}")
            make(SyncWindow, stream=orders_of(account), status="failed", started_at=NOW - timedelta(minutes=5))
        with CaptureQueriesContext(connection) as queries:
            assert seen()
        counts.append(len(queries))
    assert counts[0] == counts[1]
