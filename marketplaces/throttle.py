"""One budget per account and operation, shared by all workers, so that together they never ask too often.

What is urgent goes first: each class of calls leaves a reserve to the classes above it and goes after one of them that
waits; each class but the first has a floor, a share of the rate that even a saturated class above cannot take from it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

import redis

from marketplaces.port import Limit, Priority
from marketplaces.throttle_scripts import CLOSE, LEARN, TAKE

log = logging.getLogger(__name__)
T = TypeVar("T")

#: Share of the burst a class leaves to those above it.
RESERVE: Final[Mapping[Priority, float]] = {
    Priority.REALTIME: 0.0, Priority.PUSH: 0.2, Priority.MONEY: 0.35, Priority.BULK: 0.5,
}  # fmt: skip
#: Share of the rate a class gets whatever the classes above it ask.
FLOOR: Final[Mapping[Priority, float]] = {
    Priority.REALTIME: 0.0, Priority.PUSH: 0.1, Priority.MONEY: 0.1, Priority.BULK: 0.1,
}  # fmt: skip
#: How many of the last waits are remembered per budget.
WAITS_KEPT: Final = 200
#: Without the shared budget each process spends this share of it: safe for so many processes.
ALONE: Final = 0.1
#: Pause before the shared budget is tried again after it could not be reached [s].
AWAY: Final = 5.0


class Limiter(Protocol):
    """Who may ask now."""

    def acquire(
        self, account: str, operation: str, limit: Limit, priority: Priority = Priority.REALTIME, waited: float = 0.0
    ) -> float:
        """Take one call: 0 when granted, else the seconds until it may be worth asking again.

        `waited` [s] is how long this call has been waiting already; it is kept for those who watch.
        """
        ...

    def learn(self, account: str, operation: str, limit: Limit, rate: float) -> None:
        """The marketplace named its rate [calls per second]; it counts from now on."""
        ...

    def close(self, account: str, operation: str, limit: Limit, seconds: float | None) -> float:
        """The marketplace said *too many*: nobody calls for so many seconds (None = one refill).

        Returns: how long it is [s]; an earlier word that asks for a longer silence still counts.
        """
        ...


def capacity(limit: Limit) -> float:
    """How many calls are saved up at most: one of the burst stays in hand, as calls arrive unevenly."""
    return max(1.0, limit.burst - 1.0)


def reserve(limit: Limit, priority: Priority) -> float:
    """Calls a class leaves to those above it; never so many that a full bucket would not do."""
    return min(RESERVE[priority] * limit.burst, capacity(limit) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How one budget stands.

    Attributes:
        rate: calls per second in force, as declared or as the marketplace named it.
        tokens: calls left now, without waiting.
        closed_until: the marketplace asked us to be silent until then; None = it did not.
        waits: how long the last calls waited [s], by class.
    """

    rate: float
    burst: int
    tokens: float
    closed_until: datetime | None
    waits: tuple[tuple[Priority, float], ...] = ()

    def wait_p95(self, priority: Priority | None = None) -> float | None:
        """The wait that one call in twenty exceeds [s]; None when there was no call."""
        found = sorted(wait for kind, wait in self.waits if priority in (None, kind))
        return found[min(len(found) - 1, len(found) * 95 // 100)] if found else None


class SharedLimiter:
    """Token buckets in Valkey, decided by one script, so that any number of processes share one budget.

    A bucket nobody knows begins nearly empty: after a loss of Valkey the marketplace still remembers our calls. Only an
    account that was `welcome`d, as it has never been called, begins with its whole burst. While Valkey is away each
    process spends a small share of the budget by itself.
    """

    def __init__(self, url: str, *, prefix: str = "bucket") -> None:
        """`url` is the Valkey to keep the buckets in, for example `redis://127.0.0.1:6379/1` or `unix:///…`."""
        self._client: Any = redis.Redis.from_url(url, socket_timeout=2)
        self._prefix = prefix
        self._take, self._learn, self._close = (self._client.register_script(x) for x in (TAKE, LEARN, CLOSE))
        self._alone, self._away_until = LocalLimiter(share=ALONE, starts_empty=True), 0.0

    def _keys(self, account: str, operation: str) -> list[str]:
        key = f"{self._prefix}:{account}:{operation}"
        return [key, f"{self._prefix}-since:{account}", f"{key}:waits"]

    def _shared(self, ask: Callable[[], T], alone: Callable[[], T]) -> T:
        """The shared answer, or our own while Valkey is away."""
        if time.monotonic() < self._away_until:
            return alone()
        try:
            return ask()
        except redis.RedisError as error:
            self._away_until = time.monotonic() + AWAY
            log.warning("the shared call budget cannot be reached, spending a small share: %s", error)
            return alone()

    def welcome(self, account: str) -> None:
        """This account has never been called: its buckets are full. Does nothing for an account known already."""
        key = self._keys(account, "")[1]
        self._shared(lambda: self._client.set(key, 0, nx=True), lambda: None)

    def acquire(
        self, account: str, operation: str, limit: Limit, priority: Priority = Priority.REALTIME, waited: float = 0.0
    ) -> float:
        """See `Limiter.acquire`."""
        floors = [part for kind in Priority for part in (kind.value, FLOOR[kind])]
        args = [
            limit.rate, limit.burst, capacity(limit), priority.value, reserve(limit, priority), f"{waited:.3f}",
            WAITS_KEPT, *floors,
        ]  # fmt: skip
        return self._shared(
            lambda: float(self._take(keys=self._keys(account, operation), args=args)),
            lambda: self._alone.acquire(account, operation, limit, priority, waited),
        )

    def learn(self, account: str, operation: str, limit: Limit, rate: float) -> None:
        """See `Limiter.learn`."""
        alive = int((limit.burst / rate + 60) * 1000)
        self._alone.learn(account, operation, limit, rate)
        self._shared(lambda: self._learn(keys=self._keys(account, operation), args=[rate, alive]), lambda: None)

    def close(self, account: str, operation: str, limit: Limit, seconds: float | None) -> float:
        """See `Limiter.close`."""
        wait = -1 if seconds is None else seconds
        return self._shared(
            lambda: float(self._close(keys=self._keys(account, operation), args=[limit.rate, limit.burst, wait])),
            lambda: self._alone.close(account, operation, limit, seconds),
        )

    def levels(self, asked: Mapping[tuple[str, str], Limit]) -> dict[tuple[str, str], Level] | None:
        """How the budgets of (account, operation) stand, in one round trip; None while Valkey is away."""
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        for account, operation in asked:
            bucket, since, waits = self._keys(account, operation)
            pipe.hmget(bucket, "tokens", "at", "closed", "rate")
            pipe.get(since)
            pipe.lrange(waits, 0, -1)
        try:
            answers = pipe.execute()
        except redis.RedisError as error:
            log.warning("the shared call budget cannot be read: %s", error)
            return None
        now = answers[0][0] + answers[0][1] / 1e6
        parts = zip(answers[1::3], answers[2::3], answers[3::3], strict=True)
        return {
            key: _level(limit, bucket, since, waits, now=now)
            for (key, limit), (bucket, since, waits) in zip(asked.items(), parts, strict=True)
        }


def _level(limit: Limit, bucket: list[bytes | None], since: bytes | None, waits: list[bytes], *, now: float) -> Level:
    tokens, at, closed, named = (None if part is None else float(part) for part in bucket)
    rate, most = named or limit.rate, capacity(limit)
    if tokens is None:
        tokens, at = limit.burst - most, None if since is None else float(since)
    filling = 0.0 if at is None else max(0.0, now - at)
    spans = [part.decode().partition(" ") for part in waits]
    return Level(
        rate=rate,
        burst=limit.burst,
        tokens=min(most, tokens + filling * rate),
        closed_until=datetime.fromtimestamp(closed, UTC) if closed and closed > now else None,
        waits=tuple((Priority(kind), float(wait)) for kind, _, wait in spans),
    )


@dataclass
class _Bucket:
    tokens: float
    at: float
    rate: float
    closed: float = 0.0


class LocalLimiter:
    """The budget inside one process, with reserves but without floors.

    Args:
        share: the part of each rate this process may spend.
        starts_empty: nobody knows what was spent before.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, *, share: float = 1.0, starts_empty: bool = False
    ) -> None:
        self._now, self._share, self._starts_empty = monotonic, share, starts_empty
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def _bucket(self, account: str, operation: str, limit: Limit) -> _Bucket:
        begins = 0.0 if self._starts_empty else capacity(limit)
        known = self._buckets.get((account, operation))
        return known or self._buckets.setdefault(
            (account, operation), _Bucket(begins, self._now(), limit.rate * self._share)
        )

    def acquire(
        self, account: str, operation: str, limit: Limit, priority: Priority = Priority.REALTIME, waited: float = 0.0
    ) -> float:
        """See `Limiter.acquire`."""
        with self._lock:
            bucket, now, needed = self._bucket(account, operation, limit), self._now(), 1 + reserve(limit, priority)
            bucket.tokens = min(capacity(limit), bucket.tokens + max(0.0, now - bucket.at) * bucket.rate)
            bucket.at = max(now, bucket.at)
            if bucket.closed > now:
                return bucket.closed - now
            if bucket.tokens < needed:
                return (needed - bucket.tokens) / bucket.rate
            bucket.tokens -= 1
            return 0.0

    def learn(self, account: str, operation: str, limit: Limit, rate: float) -> None:
        """See `Limiter.learn`."""
        with self._lock:
            self._bucket(account, operation, limit).rate = rate * self._share

    def close(self, account: str, operation: str, limit: Limit, seconds: float | None) -> float:
        """See `Limiter.close`."""
        with self._lock:
            bucket = self._bucket(account, operation, limit)
            now, wait = self._now(), 1 / bucket.rate if seconds is None else seconds
            wait = max(wait, bucket.closed - now)
            bucket.closed = bucket.at = now + wait
            bucket.tokens = 0
            return wait
