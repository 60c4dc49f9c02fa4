"""When people work: public holidays by country, weekends, and the days a client has decided otherwise.

Clocks of work (time left to a ship-by, hours an order has waited) run in working time only, so that a Sunday makes no
alarm. Hours are the local ones of the place; a day with the clock change has the hours it really has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final

import holidays

from domventas.core.times import aware, day_in, zone

#: Monday to Friday, 8 to 18 o'clock, unless a client says otherwise.
WEEK: Final = frozenset(range(5))
OPENS, CLOSES = time(8), time(18)
_LONGEST: Final = timedelta(days=400)


@lru_cache(maxsize=256)
def public_holidays(country: str, year: int) -> Mapping[date, str]:
    """Holidays of the whole country by day; none for a country nobody has listed."""
    try:
        return dict(holidays.country_holidays(country, years=year))
    except NotImplementedError:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """One place's working time.

    Attributes:
        zone, country: where the people are.
        changed: days the client decided otherwise: True = worked, False = closed.
        week: weekdays that are worked, Monday = 0.
        opens, closes: local hours of a working day.
    """

    zone: str
    country: str
    changed: Mapping[date, bool] = field(default_factory=dict)
    week: frozenset[int] = WEEK
    opens: time = OPENS
    closes: time = CLOSES

    def works_on(self, day: date) -> bool:
        """Whether the day is worked: the client's word, else the week and the country's holidays."""
        if day in self.changed:
            return self.changed[day]
        return day.weekday() in self.week and day not in public_holidays(self.country, day.year)

    def hours_of(self, day: date) -> tuple[datetime, datetime] | None:
        """The day's working time as UTC moments; None when nobody works."""
        if not self.works_on(day):
            return None
        place = zone(self.zone)
        return tuple(datetime.combine(day, at, tzinfo=place).astimezone(UTC) for at in (self.opens, self.closes))  # type: ignore[return-value]  # two of them

    def working_time(self, since: datetime, until: datetime) -> timedelta:
        """Working time between two moments; negative when `until` lies before `since`.

        More than 400 days count as 400: nothing that old has a clock any more.
        """
        since, until = aware(since), aware(until)
        if until < since:
            return -self.working_time(until, since)
        until = min(until, since + _LONGEST)
        total, day, last = timedelta(0), day_in(self.zone, since), day_in(self.zone, until)
        while day <= last:
            if (hours := self.hours_of(day)) is not None:
                begins, ends = max(hours[0], since), min(hours[1], until)
                total += max(ends - begins, timedelta(0))
            day += timedelta(days=1)
        return total
