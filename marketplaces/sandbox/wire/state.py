"""What a running sandbox remembers: its world, its clock, who signed in and which reports were asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ..world.model import Order, World
from .limits import Buckets


class Clock:
    """The sandbox's present: pinned until somebody moves it, or running with the wall clock."""

    def __init__(self, at: datetime, *, is_running: bool = False) -> None:
        self._at = at
        self._since = time.monotonic()
        self.is_running = is_running

    def __call__(self) -> datetime:
        if not self.is_running:
            return self._at
        return self._at + timedelta(seconds=int(time.monotonic() - self._since))

    def set(self, at: datetime) -> None:
        """Move the present; a pinned clock stays pinned, a running one goes on from there."""
        self._at = at.astimezone(UTC)
        self._since = time.monotonic()


@dataclass(slots=True, kw_only=True)
class AskedReport:
    """A report somebody requested; it is worked on by wall clock."""

    ref: str
    account: str
    kind: str
    marketplaces: list[str]
    asked_at: float
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class State:
    """Shared by all requests. `timer` is the wall clock that tokens, buckets and links expire by [seconds]."""

    world: World
    clock: Clock
    buckets: Buckets
    base_url: str = ""
    timer: Callable[[], float] = time.time
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    reports: dict[str, AskedReport] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    _by_ref: dict[str, dict[str, Order]] = field(default_factory=dict)

    def order(self, account: str, ref: str) -> Order | None:
        """An order of the account by its reference, if the clock already knows it."""
        if account not in self._by_ref:
            self._by_ref[account] = {order.ref: order for order in self.world.orders[account]}
        order = self._by_ref[account].get(ref)
        return order if order and order.created_at <= self.clock() else None
