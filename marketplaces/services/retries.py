"""What follows from each kind of error at the border: the one table that pulls, reports and pushes go by."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from marketplaces.errors import (
    BorderError,
    Down,
    Forbidden,
    Later,
    Malformed,
    NotReady,
    Refused,
    Throttled,
    Unauthorized,
    Unavailable,
)

#: The kind of errors that are not the marketplace's.
OWN_FAULT: Final = "own"
#: The pause after the first failure, doubled with each further one up to the longest; the wait is any part of it.
FIRST, LONGEST = timedelta(minutes=1), timedelta(minutes=60)
#: What lacks a right is tried again so often by itself: nobody tells us when it was granted.
RIGHT: Final = timedelta(hours=1)


class Then(StrEnum):
    """What is done next; in words: `MEANS`."""

    BACK_OFF = "back off"
    AS_TOLD = "wait as told"
    STOP_ACCOUNT = "stop the account"
    STOP_FLOW = "stop the flow"
    NEXT_TURN = "next turn"
    QUARANTINE = "quarantine"


MEANS: Final[Mapping[Then, str]] = {
    Then.BACK_OFF: "come back after 1, 2, 4 … 60 minutes at most, a random part of it so that no crowd comes together",
    Then.AS_TOLD: "come back after the time the error names; it counts as no failure",
    Then.STOP_ACCOUNT: "nothing of this account is read or written until people have acted; other accounts go on",
    Then.STOP_FLOW: "this flow waits until people have granted the right: tried again every hour and by *Run now*; the"
    " account's other flows go on",
    Then.NEXT_TURN: "the same request would be refused again: nothing until the timetable's next turn",
    Then.QUARANTINE: "what cannot be read is kept and waits for people; nothing until the timetable's next turn",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of the table: `then`, and what it means for each of the three."""

    then: Then
    pull: str
    report: str
    push: str


_WAIT: Final = Rule(
    then=Then.AS_TOLD,
    pull="the stream waits as long as told, at its page mark",
    report="looked after again then",
    push="stays in the queue, the attempt is not counted",
)
RULES: Final[Mapping[type[BorderError] | None, Rule]] = {
    Unavailable: Rule(
        then=Then.BACK_OFF,
        pull="up to three tries within seconds, then the stream backs off",
        report="kept and looked after again, backing off",
        push="outcome unknown: looked up before anything is sent again",
    ),
    Down: _WAIT,
    Throttled: _WAIT,
    NotReady: _WAIT,
    Later: _WAIT,
    Unauthorized: Rule(
        then=Then.STOP_ACCOUNT,
        pull="the account is marked *sign-in refused*",
        report="the account is marked *sign-in refused*",
        push="the flow stops, commands wait",
    ),
    Forbidden: Rule(
        then=Then.STOP_FLOW,
        pull="the flow is marked *right missing*, in words",
        report="kept; the flow is marked *right missing*",
        push="commands of this kind wait an hour, the attempt is not counted",
    ),
    Refused: Rule(
        then=Then.NEXT_TURN,
        pull="told on the monitor; asked again at the next turn",
        report="given up and named among what waits for people",
        push="end state *refused*",
    ),
    Malformed: Rule(
        then=Then.QUARANTINE,
        pull="one record: asked for again, then quarantined, its page goes on; a whole page: nothing is moved",
        report="fetched up to five times, then given up and named among what waits for people",
        push="outcome unknown: looked up before anything is sent again",
    ),
    None: Rule(
        then=Then.BACK_OFF,
        pull="told as a fault of our own; the stream backs off",
        report="told as a fault of our own; the stream backs off",
        push="outcome unknown: looked up before anything is sent again",
    ),
}


def kind_of(error: Exception) -> str:
    """The kind as it is kept: `unavailable`, `down`, `throttled`, `notready`, `later`, `unauthorized`,
    `forbidden`, `refused`, `malformed`, or `own` for a fault of our own.
    """
    return type(error).__name__.lower() if isinstance(error, BorderError) else OWN_FAULT


def rule_of(error: Exception) -> Rule:
    """The row of the table for an error."""
    known = next((kind for kind in type(error).__mro__ if kind in RULES), None)
    return RULES[known]


def counts(error: Exception) -> bool:
    """Whether the error counts as a failure of its stream."""
    return rule_of(error).then != Then.AS_TOLD


def wait(
    error: Exception, *, failures: int, chance: Callable[[], float] = random.random
) -> timedelta | None:  # fmt: skip
    """How long to leave alone what met an error; None = until the timetable's next turn, or until people have acted.

    Args:
        failures: failures in a row, this one included.
        chance: gives a number from 0 to 1.
    """
    then = rule_of(error).then
    if then == Then.STOP_FLOW:
        return RIGHT
    if then == Then.AS_TOLD and isinstance(error, Later):
        return error.after
    if then == Then.BACK_OFF:
        longest = min(FIRST * 2 ** min(max(failures - 1, 0), 10), LONGEST)
        return max(longest * chance(), timedelta(seconds=1))
    return None
