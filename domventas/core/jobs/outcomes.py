"""What became of an attempt that raised: whose fault it was, when to try again, and how to say so to people."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

import redis
from billiard.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import InterfaceError, OperationalError

#: What a body lets pass: the servers are away, and no answer of theirs says anything about its work.
AWAY: Final = (OperationalError, InterfaceError, redis.ConnectionError, redis.TimeoutError)

#: PostgreSQL has lost us, or is going down or coming up: connection exceptions and operator intervention.
LOST: Final = ("08", "57P")
#: It can be read only: a standby, or a primary its operator has closed.
READ_ONLY: Final = "25006"
#: It has no room: disk, memory, connections.
FULL: Final = "53"


class Retry(Exception):
    """The body asks to be run again after some seconds, without counting it as an error (throttled, not ready)."""

    def __init__(self, after: float, note: str = "") -> None:
        super().__init__(note)
        self.after, self.note = after, note


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: `done`, or `queued` to come back after `delay` [s]; `error` counts towards the retries."""

    state: str = "queued"
    note: str = ""
    error: int = 0
    delay: float = 0.0


DONE: Final = Outcome(state="done")


def outcome_of(error: Exception) -> Outcome:
    """Sort what a body raised. Servers that are away or full are waited for; everything else counts as an error."""
    if isinstance(error, Retry):
        return Outcome(note=error.note, delay=error.after)
    if isinstance(error, SoftTimeLimitExceeded):
        return Outcome(note="Stopped at its time limit; goes on from its last step.", error=1)
    words = f"{type(error).__name__}: {error}"
    if _is_full(error):
        text = "No room left: nothing of this step was written; tried again until there is."
        return Outcome(note=f"{text} {words}", delay=settings.JOB_WAIT_FULL)
    if _is_away(error):
        return Outcome(note=f"A server went away; tried again when it answers. {words}", delay=0.5)
    return Outcome(note=words, error=1, delay=1.0)


def is_read_only(error: BaseException) -> bool:
    """Whether the server we reached is none that can be written to (any more)."""
    return _sqlstate(error) == READ_ONLY


def _sqlstate(error: BaseException) -> str:
    return getattr(error.__cause__, "sqlstate", None) or getattr(error, "sqlstate", None) or ""


def _is_full(error: Exception) -> bool:
    return _sqlstate(error).startswith(FULL) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)


def _is_away(error: Exception) -> bool:
    """A deadlock or a statement that took too long is the database's answer, not its absence: those count."""
    if is_read_only(error):
        return True
    if isinstance(error, OperationalError | InterfaceError):
        state = _sqlstate(error)
        return not state or state.startswith(LOST)
    return isinstance(error, AWAY)
