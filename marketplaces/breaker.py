"""Leaves a marketplace alone that does not answer: after several failures in a row one probe per interval goes out.

The state is shared by all workers, per account and host. Without Valkey nothing is held back.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import redis

log = logging.getLogger(__name__)

#: Failures in a row after which nothing but probes goes out.
MOST: Final = 5
#: One probe per so many seconds.
INTERVAL: Final = 60.0

#: breaker of the account | host, interval. Returns how long to wait, the moment, and the reason.
_ASK: Final = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local b = redis.call('HMGET', KEYS[1], ARGV[1] .. '|until', ARGV[1] .. '|why')
local wait = (tonumber(b[1]) or 0) - now
if b[1] and wait <= 0 then
  redis.call('HSET', KEYS[1], ARGV[1] .. '|until', string.format('%.6f', now + ARGV[2]), ARGV[1] .. '|probing', 1)
end
return {string.format('%.6f', math.max(0, wait)), string.format('%.6f', now), b[2] or ''}
"""
#: breaker | host, failures that open it, interval, reason
_FAILED: Final = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local h = ARGV[1]
local failures = redis.call('HINCRBY', KEYS[1], h .. '|failures', 1)
redis.call('HSET', KEYS[1], h .. '|why', ARGV[4])
if failures >= tonumber(ARGV[2]) then
  redis.call('HSETNX', KEYS[1], h .. '|since', string.format('%.6f', now))
  redis.call('HSET', KEYS[1], h .. '|until', string.format('%.6f', now + ARGV[3]))
  redis.call('HDEL', KEYS[1], h .. '|probing')
end
redis.call('EXPIRE', KEYS[1], 86400)
"""
#: breaker | host, when the answered request was asked for
_ANSWERED: Final = """
local h = ARGV[1]
local since = tonumber(redis.call('HGET', KEYS[1], h .. '|since'))
if since and tonumber(ARGV[2]) < since then return 0 end  -- sent before the outage began: it says nothing about now
redis.call('HDEL', KEYS[1], h .. '|failures', h .. '|since', h .. '|until', h .. '|why', h .. '|probing')
return 1
"""


class Gate(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """A probe may go out or is under way."""


@dataclass(frozen=True, slots=True)
class Leave:
    """May we ask now? `wait` [s] is 0 if so. `asked_at` goes back with the answer, `why` tells what failed last."""

    wait: float = 0.0
    asked_at: float = 0.0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The breaker of one host.

    Attributes:
        since: when it opened; None while closed.
        until: when the next probe may go out; None while closed.
    """

    host: str
    gate: Gate
    failures: int
    since: datetime | None
    until: datetime | None
    why: str


class Breaker:
    """One breaker per (account, host) in Valkey.

    Args:
        url: the Valkey to keep the states in.
        most: failures in a row that open it.
        interval: one probe per so many seconds while it is open.
    """

    def __init__(self, url: str, *, most: int = MOST, interval: float = INTERVAL, prefix: str = "breaker") -> None:
        self._client: Any = redis.Redis.from_url(url, socket_timeout=2)
        self._most, self._interval, self._prefix = most, interval, prefix
        self._ask, self._failed, self._answered = (self._client.register_script(x) for x in (_ASK, _FAILED, _ANSWERED))

    def _key(self, account: str) -> list[str]:
        return [f"{self._prefix}:{account}"]

    def ask(self, account: str, host: str) -> Leave:
        """Ask for leave to call a host. Of all workers one gets it per interval while the host is down."""
        try:
            wait, now, why = self._ask(keys=self._key(account), args=[host, self._interval])
        except redis.RedisError as error:
            log.warning("the breaker cannot be reached and holds nothing back: %s", error)
            return Leave()
        return Leave(float(wait), float(now), why.decode())

    def failed(self, account: str, host: str, why: str) -> None:
        """A call got no answer, or the answer that the marketplace is out of order."""
        args: list[Any] = [host, self._most, self._interval, why[:200]]
        self._try(lambda: self._failed(keys=self._key(account), args=args))

    def answered(self, account: str, host: str, leave: Leave) -> None:
        """The host answers again, whatever it said."""
        self._try(lambda: self._answered(keys=self._key(account), args=[host, leave.asked_at]))

    def _try(self, tell: Any) -> None:
        try:
            tell()
        except redis.RedisError as error:
            log.warning("the breaker cannot be told: %s", error)

    def states(self, accounts: list[str]) -> dict[str, list[State]] | None:
        """Hosts that failed lately, by account; what is not named is closed. None while Valkey is away."""
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for account in accounts:
            pipe.hgetall(*self._key(account))
        try:
            (seconds, micros), *found = pipe.execute()
        except redis.RedisError as error:
            log.warning("the breaker cannot be read: %s", error)
            return None
        now = seconds + micros / 1e6
        return {account: _states(fields, now) for account, fields in zip(accounts, found, strict=True)}


def _states(fields: dict[bytes, bytes], now: float) -> list[State]:
    by_host: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        host, _, part = name.decode().rpartition("|")
        by_host.setdefault(host, {})[part] = value.decode()
    return [_state(host, parts, now) for host, parts in sorted(by_host.items())]


def _state(host: str, parts: dict[str, str], now: float) -> State:
    gate = Gate.CLOSED
    if "until" in parts:
        is_due = float(parts["until"]) <= now
        gate = Gate.HALF_OPEN if is_due or "probing" in parts else Gate.OPEN
    return State(
        host=host,
        gate=gate,
        failures=int(parts.get("failures", 0)),
        since=_moment(parts.get("since")),
        until=_moment(parts.get("until")),
        why=parts.get("why", ""),
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(float(text), UTC) if text else None
