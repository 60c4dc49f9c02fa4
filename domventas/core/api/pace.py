"""How often a machine may ask: one bucket per token, kept in Valkey by one script, shared by all web processes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, Final

import redis
from django.conf import settings

log = logging.getLogger(__name__)

#: Requests per minute and how many of them at once, per token; and signs of a token nobody knows, per address.
PER_MINUTE, BURST = 600, 120
WRONG_PER_MINUTE, WRONG_BURST = 20, 20

# A bucket as one number: the moment at which it will be full again (generic cell rate algorithm).
_TAKE: Final = """
local t = redis.call('TIME')
local now = t[1] + t[2] / 1e6
local each, burst = 60 / ARGV[1], tonumber(ARGV[2])
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1])) or now)
local wait = full_at + each - burst * each - now
if wait > 0 then return {'-1', string.format('%.3f', wait)} end
full_at = full_at + each
redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'PX', math.ceil((full_at - now) * 1000) + 1000)
return {string.format('%d', math.floor(burst - (full_at - now) / each + 1e-6)), string.format('%.3f', full_at - now)}
"""


@dataclass(frozen=True, slots=True)
class Pace:
    """An answer of the bucket. `left`: requests that may follow at once; `reset` [s] until it is full, or has one."""

    allowed: bool
    left: int
    reset: float

    def headers(self, limit: int) -> dict[str, str]:
        """As machines read it."""
        told = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(self.left, 0)),
            "RateLimit-Reset": str(ceil(self.reset)),
        }
        return told if self.allowed else told | {"Retry-After": str(max(1, ceil(self.reset)))}


def take(key: str, *, per_minute: int = PER_MINUTE, burst: int = BURST) -> Pace:
    """Take one request out of a bucket. Without Valkey everybody may: the house goes on working."""
    try:
        left, reset = _script()(keys=[f"api:{key}"], args=[per_minute, burst])
    except redis.RedisError as error:
        log.warning("the API's budget cannot be asked: %s", error)
        return Pace(allowed=True, left=burst, reset=0.0)
    return Pace(allowed=int(left) >= 0, left=int(left), reset=float(reset))


@lru_cache(maxsize=4)
def _script_at(url: str) -> Any:
    client: Any = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
    return client.register_script(_TAKE)


def _script() -> Any:
    if not settings.REDIS_URL:
        raise redis.ConnectionError("REDIS_URL is not set")
    return _script_at(settings.REDIS_URL)
