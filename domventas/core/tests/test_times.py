"""Moments and days: a zone is never guessed, a period never holds its end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domventas.core import times
from domventas.core.times import NotAMoment, Period


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T06:10:00Z", "2026-11-21T06:10:00.000Z", "2026-11-21T07:10:00+01:00", "2026-11-21T07:10:00+0100",
        "2026-11-21 06:10:00 +00:00", "2026-11-21T06:10Z", "2026-11-21T06:10:00.000000000Z", "2026-11-21T03:10:00-03",
    ],
)  # fmt: skip
def test_every_spelling_of_a_moment_with_its_zone_is_read(text: str) -> None:
    moment = times.utc(text)
    assert moment == datetime(2026, 11, 21, 6, 10, tzinfo=UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["2026-11-21T06:10:00", "2026-11-21", "21.11.2026 06:10 Z", "", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z"],
)
def test_a_moment_without_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(NotAMoment):
        times.utc(text)


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))
def test_what_python_writes_is_read_back(moment: datetime) -> None:
    assert times.utc(moment.isoformat()) == moment


def test_a_fraction_is_a_fraction() -> None:
    assert times.utc("2026-11-21T06:10:00.5Z").microsecond == 500_000
    assert times.utc("2026-11-21T06:10:00.1234567Z").microsecond == 123_456


def test_moments_are_written_in_utc_and_only_with_a_zone() -> None:
    assert times.iso(datetime(2026, 11, 21, 7, 10, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-21T06:10:00Z"
    with pytest.raises(NotAMoment):
        times.iso(datetime(2026, 11, 21))


def test_a_day_depends_on_where_one_asks() -> None:
    moment = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert times.day_in("Europe/Berlin", moment) == date(2026, 11, 21)
    assert times.day_in("America/New_York", moment) == date(2026, 11, 20)
    with pytest.raises(NotAMoment, match="Mars"):
        times.day_in("Mars/Olympus", moment)


def test_days_of_a_clock_change_have_their_true_length() -> None:
    def hours(day: date) -> float:
        start, end = Period(day, day + timedelta(days=1)).moments("Europe/Berlin")
        return (end - start) / timedelta(hours=1)

    assert (hours(date(2026, 3, 29)), hours(date(2026, 10, 25)), hours(date(2026, 11, 21))) == (23, 25, 24)


@given(
    st.dates(min_value=date(2000, 1, 1), max_value=date(2100, 1, 1)),
    st.sampled_from(["Europe/Berlin", "Asia/Dubai", "Australia/Sydney"]),
)
def test_the_start_of_a_day_lies_on_that_day_and_the_moment_before_does_not(day: date, zone: str) -> None:
    start = times.start_of(day, zone)
    assert times.day_in(zone, start) == day
    assert times.day_in(zone, start - timedelta(microseconds=1)) == day - timedelta(days=1)


def test_a_period_holds_its_start_and_not_its_end() -> None:
    november = times.month_of(date(2026, 11, 21))
    assert november == Period(date(2026, 11, 1), date(2026, 12, 1))
    assert date(2026, 11, 1) in november
    assert date(2026, 12, 1) not in november
    assert (november.days, len(list(november)), november.last_day()) == (30, 30, date(2026, 11, 30))
    assert times.month_of(date(2026, 12, 31)).end == date(2027, 1, 1)


def test_the_period_before_ends_where_this_one_starts() -> None:
    week = Period(date(2026, 11, 14), date(2026, 11, 21))
    assert week.before() == Period(date(2026, 11, 7), date(2026, 11, 14))


def test_a_period_must_have_a_length_to_end() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        Period(date(2026, 1, 2), date(2026, 1, 1))
    with pytest.raises(ValueError, match="last day"):
        Period(date(2026, 1, 1), date(2026, 1, 1)).last_day()
    with pytest.raises(TypeError):
        Period(datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 2))
