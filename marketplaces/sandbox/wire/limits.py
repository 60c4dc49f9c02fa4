"""Token buckets per account and operation, as the marketplaces enforce them, scaled so that a demo need not wait."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per second refill a bucket of `burst`."""

    per_second: float
    burst: int


@dataclass(slots=True)
class Count:
    """What one bucket saw: calls let through, calls over the limit, and between which moments of its clock."""

    calls: int = 0
    over: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class Counts:
    """What was asked since the counting began, by account."""

    operations: dict[tuple[str, str], Count] = field(default_factory=dict)
    token_refreshes: Counter[str] = field(default_factory=Counter)
    sign_ins_refused: Counter[str] = field(default_factory=Counter)


class Buckets:
    """All buckets of one sandbox; `speed` multiplies every rate."""

    def __init__(self, timer: Callable[[], float], speed: float) -> None:
        self._timer = timer
        self._lock = threading.Lock()
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}
        self.counts = Counts()
        self.speed = speed

    def take(self, account: str, operation: str, rate: Rate) -> float:
        """Take one token; 0.0, or the seconds until there will be one."""
        per_second = rate.per_second * self.speed
        with self._lock:
            now = self._timer()
            level, since = self._levels.get((account, operation), (float(rate.burst), now))
            level = min(rate.burst, level + max(0.0, now - since) * per_second)
            allowed = level >= 1
            self._levels[account, operation] = (level - 1 if allowed else level, now)
            self._count(account, operation, now, allowed)
        return 0.0 if allowed else (1 - level) / per_second

    def _count(self, account: str, operation: str, now: float, allowed: bool) -> None:
        count = self.counts.operations.setdefault((account, operation), Count(first=now))
        count.calls += allowed
        count.over += not allowed
        count.last = now

    def signed_in(self, account: str, *, refused: bool = False) -> None:
        """Count a sign-in at the token endpoint."""
        with self._lock:
            (self.counts.sign_ins_refused if refused else self.counts.token_refreshes)[account] += 1

    def count_anew(self) -> None:
        """Begin all counts at zero; the levels stay."""
        with self._lock:
            self.counts = Counts()

    def fill(self) -> None:
        """All buckets are full, as those of accounts that nobody has ever called."""
        with self._lock:
            self._levels.clear()

    def view(self) -> dict[str, dict[str, object]]:
        """The counts by account: per operation `calls` let through, calls `over` the limit and `seconds` between."""
        with self._lock:
            found: dict[str, dict[str, object]] = {}
            named = {account for account, _ in self.counts.operations}
            for account in sorted(named | self.counts.token_refreshes.keys() | self.counts.sign_ins_refused.keys()):
                operations = {
                    operation: {"calls": n.calls, "over": n.over, "seconds": round(n.last - n.first, 3)}
                    for (whose, operation), n in sorted(self.counts.operations.items())
                    if whose == account
                }
                found[account] = {
                    "operations": operations,
                    "token_refreshes": self.counts.token_refreshes[account],
                    "sign_ins_refused": self.counts.sign_ins_refused[account],
                }
            return found
