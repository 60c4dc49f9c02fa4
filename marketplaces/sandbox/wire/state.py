"""What a running sandbox remembers: its world, its clock, who signed in and which reports were asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from ..world.model import Order, World
from .limits import Buckets
from .sqs_queue import Queue

_T = TypeVar("_T")
_KEPT_ANSWERS = 24


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

    def set(self, at: datetime, *, is_running: bool | None = None) -> None:
        """Move the present; unless said otherwise a pinned clock stays pinned, a running one goes on from there."""
        self._at = at.astimezone(UTC)
        self._since = time.monotonic()
        if is_running is not None:
            self.is_running = is_running


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
    """Shared by all requests. `timer` is the wall clock that tokens, buckets and links expire by [seconds].

    `revoked` names the accounts whose consent or key was withdrawn.
    """

    world: World
    clock: Clock
    buckets: Buckets
    base_url: str = ""
    timer: Callable[[], float] = time.time
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    reports: dict[str, AskedReport] = field(default_factory=dict)
    told: list[tuple[str, str, str, dict[str, int]]] = field(default_factory=list)
    """Tellings of parcels that took effect: account, order, package, pieces by line."""
    parcels: dict[str, Any] = field(default_factory=dict)
    """Shipments told by a partner of Otto, by their id."""
    queues: dict[str, Queue] = field(default_factory=dict)
    app_tokens: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Tokens of the application itself, for what needs no seller: scope and end."""
    destinations: dict[str, Any] = field(default_factory=dict)
    """Where Amazon may send notifications to, by id."""
    subscriptions: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What is told at all: by account and type of notification."""
    denied: set[tuple[str, str]] = field(default_factory=set)
    """Types of notification an account's application has no right to."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _by_ref: dict[str, dict[str, Order]] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict)

    def kept(self, account: str, question: dict[str, Any], find: Callable[[], _T]) -> _T:
        """The answer to a question, found once for all its pages: the question names its time, the world stays."""
        key = f"{account}:{sorted((k, str(v)) for k, v in question.items() if k not in ('first', 'back'))}"
        with self.lock:
            if key in self._kept:
                return cast(_T, self._kept[key])
        found = find()
        with self.lock:
            while len(self._kept) >= _KEPT_ANSWERS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
        return found

    def expire_tokens(self, account: str) -> int:
        """Let all access tokens of an account run out now; returns how many."""
        with self.lock:
            found = [token for token, (code, _) in self.tokens.items() if code == account]
            self.tokens.update(dict.fromkeys(found, (account, 0.0)))
        return len(found)

    def forget_answers(self) -> None:
        """The world has changed: questions are looked into anew. The caller holds the lock."""
        self._kept.clear()

    def order(self, account: str, ref: str) -> Order | None:
        """An order of the account by its reference, if the clock already knows it."""
        if account not in self._by_ref:
            self._by_ref[account] = {order.ref: order for order in self.world.orders[account]}
        order = self._by_ref[account].get(ref)
        return order if order and order.created_at <= self.clock() else None
