"""Working time: holidays, weekends, zones, changed clocks, and days a client decided otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from domventas.core.calendars import Calendar, public_holidays

BERLIN = Calendar(zone="Europe/Berlin", country="DE")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "until", "hours"),
    [
        ("2026-11-23T07:00", "2026-11-23T17:00", 10),  # a Monday, 8 to 18 in Berlin
        ("2026-11-23T05:00", "2026-11-23T23:00", 10),  # what is outside the hours does not count
        ("2026-11-20T16:00", "2026-11-23T08:00", 2),  # Friday evening to Monday morning
        ("2026-11-21T08:00", "2026-11-22T20:00", 0),  # a weekend
        ("2026-12-24T16:00", "2026-12-28T08:00", 2),  # Christmas and the weekend behind it
        ("2026-11-23T08:00", "2026-11-23T08:00", 0),
        ("2026-11-23T08:00", "2026-11-20T16:00", -2),  # the other way round
        ("2026-03-27T07:00", "2026-03-30T16:00", 20),  # over the change to summer time: Friday and Monday whole
    ],
)
def test_only_working_time_counts(since: str, until: str, hours: int) -> None:
    assert BERLIN.working_time(at(since), at(until)) == timedelta(hours=hours)


def test_the_clients_word_stands_above_week_and_holidays() -> None:
    saturday, christmas, monday = date(2026, 12, 19), date(2026, 12, 25), date(2026, 12, 21)
    ours = Calendar(zone="Europe/Berlin", country="DE", changed={saturday: True, christmas: True, monday: False})
    assert [ours.works_on(day) for day in (saturday, christmas, monday)] == [True, True, False]
    assert [BERLIN.works_on(day) for day in (saturday, christmas, monday)] == [False, False, True]


def test_places_have_their_own_holidays_and_hours() -> None:
    sydney = Calendar(zone="Australia/Sydney", country="AU")
    assert not sydney.works_on(date(2026, 1, 26)) and BERLIN.works_on(date(2026, 1, 26))
    hours = sydney.hours_of(date(2026, 11, 23))
    assert hours is not None and hours[0] == at("2026-11-22T21:00")


def test_a_country_nobody_has_listed_has_no_holidays_and_a_very_old_clock_ends() -> None:
    assert public_holidays("XX", 2026) == {}
    assert BERLIN.working_time(at("2001-01-01T00:00"), at("2026-01-01T00:00")) < timedelta(hours=10 * 300)
