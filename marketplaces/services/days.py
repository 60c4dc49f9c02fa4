"""What each day of a stream brought, beside what is stored of it now: so that rows deleted later are noticed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db import connection, transaction

from marketplaces.models import Stream
from marketplaces.selectors.gaps import DayGap, short_days
from marketplaces.services.claims import Claim

#: A fact may be told a little before the day it counts under: zones differ, transfers are announced ahead.
TOLD_BEFORE: Final = timedelta(days=3)

PUT = """
INSERT INTO marketplaces_streamday AS d (client_id, account_id, flow, day, accepted)
SELECT %(client)s, %(account)s, %(flow)s, day, accepted
FROM unnest(%(days)s::date[], %(counts)s::int[]) AS given (day, accepted) ORDER BY day
ON CONFLICT (client_id, account_id, flow, day) DO UPDATE SET accepted = {value}
"""
TAKE = """
UPDATE marketplaces_streamday d SET accepted = greatest(d.accepted - given.count, 0)
FROM unnest(%(days)s::date[], %(counts)s::int[]) AS given (day, count)
WHERE d.client_id = %(client)s AND d.account_id = %(account)s AND d.flow = %(flow)s AND d.day = given.day
"""


def reopen(stream: Stream, claim: Claim, *, until: datetime) -> list[DayGap]:
    """Let short days count as unread again, so that the next plan asks for them; in one fenced transaction.

    Sources are asked by time of change, and a thing may have changed long after its day, so all time from the first
    short day on is asked for again.
    """
    short = short_days(stream)
    if not short:
        return []
    first = datetime.combine(short[0].day, time(), UTC) - TOLD_BEFORE
    with transaction.atomic(), connection.cursor() as cursor:
        claim.uncover(cursor, [(first, max(until, first + TOLD_BEFORE))])
        _put(stream, {gap.day: gap.stored for gap in short}, "excluded.accepted")
    return short


def add(stream: Stream, inserted: Mapping[date, int]) -> None:
    """Count rows truly inserted, and those that left a day, in the transaction that did it."""
    _put(stream, {day: count for day, count in inserted.items() if count > 0}, "d.accepted + excluded.accepted")
    _run(TAKE, stream, {day: -count for day, count in inserted.items() if count < 0})


def at_least(stream: Stream, stored: Mapping[date, int]) -> None:
    """After rows came another way (from raw documents, by file): a day brought at least what is stored of it."""
    _put(stream, stored, "greatest(d.accepted, excluded.accepted)")


def _put(stream: Stream, counts: Mapping[date, int], value: str) -> None:
    _run(PUT.format(value=value), stream, counts)


def _run(sql: str, stream: Stream, counts: Mapping[date, int]) -> None:
    if not counts:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "client": stream.client_id,
                "account": stream.account_id,
                "flow": stream.flow,
                "days": list(counts),
                "counts": list(counts.values()),
            },
        )
