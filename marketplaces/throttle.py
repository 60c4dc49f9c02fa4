"""One budget per account and operation, shared by all workers, so that together they never ask too often."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from marketplaces.port import Limit

_TAKE = """
local burst = tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local b = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'closed', 'rate')
local rate = tonumber(b[4]) or tonumber(ARGV[1])
-- A bucket nobody knows is full: its key lives longer than it takes to fill.
local tokens = math.min(burst, (tonumber(b[1]) or burst) + math.max(0, now - (tonumber(b[2]) or now)) * rate)
local wait = math.max(0, (tonumber(b[3]) or 0) - now)
if wait == 0 then
  if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst / rate + 60) * 1000))
return string.format('%.6f', wait)
"""
_LEARN = """
redis.call('HSET', KEYS[1], 'rate', ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
"""
_CLOSE = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local seconds = tonumber(ARGV[2])
if seconds < 0 then seconds = 1 / (tonumber(redis.call('HGET', KEYS[1], 'rate')) or tonumber(ARGV[1])) end
redis.call('HSET', KEYS[1], 'closed', string.format('%.6f', now + seconds), 'tokens', 0,
           'at', string.format('%.6f', now + seconds))
redis.call('PEXPIRE', KEYS[1], math.ceil((seconds + 60) * 1000))
return string.format('%.6f', seconds)
"""


class Limiter(Protocol):
    """Who may ask now."""

    def acquire(self, account: str, operation: str, limit: Limit) -> float:
        """Take one call: 0 when granted, else the seconds until it may be worth asking again."""
        ...

    def learn(self, account: str, operation: str, limit: Limit, rate: float) -> None:
        """The marketplace named its rate [calls per second]; it counts from now on."""
        ...

    def close(self, account: str, operation: str, limit: Limit, seconds: float | None) -> float:
        """The marketplace said *too many*: nobody calls for so many seconds (None = one refill). Returns them."""
        ...


class RedisLimiter:
    """A token bucket in Redis, decided by one script, so that any number of processes share one budget."""

    def __init__(self, url: str, *, prefix: str = "bucket") -> None:
        """`url` is the Redis to keep the buckets in, for example `redis://127.0.0.1:6379/1` or `unix:///…`."""
        client: Any = redis.Redis.from_url(url, socket_timeout=2)
        self._prefix = prefix
        self._take, self._learn, self._close = (client.register_script(x) for x in (_TAKE, _LEARN, _CLOSE))

    def _key(self, account: str, operation: str) -> list[str]:
        return [f"{self._prefix}:{account}:{operation}"]

    def acquire(self, account: str, operation: str, limit: Limit) -> float:
        """See `Limiter.acquire`."""
        return float(self._take(keys=self._key(account, operation), args=[limit.rate, limit.burst]))

    def learn(self, account: str, operation: str, limit: Limit, rate: float) -> None:
        """See `Limiter.learn`."""
        alive = int((limit.burst / rate + 60) * 1000)
        self._learn(keys=self._key(account, operation), args=[rate, alive])

    def close(self, account: str, operation: str, limit: Limit, seconds: float | None) -> float:
        """See `Limiter.close`."""
        wait = -1 if seconds is None else seconds
        return float(self._close(keys=self._key(account, operation), args=[limit.rate, wait]))


@dataclass
class _Bucket:
    tokens: float
    at: float
    rate: float
    closed: float = 0.0


class LocalLimiter:
    """The same budget inside one process, where there is no Redis."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def _bucket(self, account: str, operation: str, limit: Limit) -> _Bucket:
        return self._buckets.setdefault((account, operation), _Bucket(limit.burst, self._now(), limit.rate))

    def acquire(self, account: str, operation: str, limit: Limit) -> float:
        """See `Limiter.acquire`."""
        with self._lock:
            bucket, now = self._bucket(account, operation, limit), self._now()
            bucket.tokens = min(limit.burst, bucket.tokens + max(0.0, now - bucket.at) * bucket.rate)
            bucket.at = max(now, bucket.at)
            if bucket.closed > now:
                return bucket.closed - now
            if bucket.tokens < 1:
                return (1 - bucket.tokens) / bucket.rate
            bucket.tokens -= 1
            return 0.0

    def learn(self, account: str, operation: str, limit: Limit, rate: float) -> None:
        """See `Limiter.learn`."""
        with self._lock:
            self._bucket(account, operation, limit).rate = rate

    def close(self, account: str, operation: str, limit: Limit, seconds: float | None) -> float:
        """See `Limiter.close`."""
        with self._lock:
            bucket = self._bucket(account, operation, limit)
            wait = 1 / bucket.rate if seconds is None else seconds
            bucket.closed = bucket.at = self._now() + wait
            bucket.tokens = 0
            return wait
