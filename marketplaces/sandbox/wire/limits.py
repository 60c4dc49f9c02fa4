"""Token buckets per account and operation, as the marketplaces enforce them, scaled so that a demo need not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per second refill a bucket of `burst`."""

    per_second: float
    burst: int


class Buckets:
    """All buckets of one sandbox; `speed` multiplies every rate."""

    def __init__(self, timer: Callable[[], float], speed: float) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}
        self.speed = speed

    def take(self, account: str, operation: str, rate: Rate) -> float:
        """Take one token; 0.0, or the seconds until there will be one."""
        per_second = rate.per_second * self.speed
        now = self._timer()
        with self._lock:
            level, since = self._levels.get((account, operation), (float(rate.burst), now))
            level = min(rate.burst, level + max(0.0, now - since) * per_second)
            allowed = level >= 1
            self._levels[account, operation] = (level - 1 if allowed else level, now)
        return 0.0 if allowed else (1 - level) / per_second
