"""Queues as SQS keeps them: at least once, in no order, hidden for a while once received."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

VISIBILITY = 30
_MOST_MESSAGES = 50_000


@dataclass(slots=True, kw_only=True)
class Message:
    """One message; `handle` is the right to delete it, new with each receipt."""

    message_id: str
    body: str
    sent_at: float
    visible_at: float
    receives: int = 0
    handle: str = ""

    @property
    def md5(self) -> str:
        """As the service tells it of every body."""
        return hashlib.md5(self.body.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True, kw_only=True)
class Queue:
    """One standard queue.

    Attributes:
        duplicate: share of deletions after which the message is delivered once more all the same.
        shuffle: deliver in any order; without it the oldest first, which the real one does not promise.
    """

    name: str
    timer: Callable[[], float] = time.monotonic
    visibility: int = VISIBILITY
    duplicate: float = 0.0
    shuffle: bool = False
    random: Random = field(default_factory=lambda: Random(1))
    messages: dict[str, Message] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    deleted: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def send(self, body: str, *, message_id: str = "", delay: float = 0.0) -> Message:
        """Put a message; the oldest go when nobody ever fetches them."""
        now = self.timer()
        message = Message(
            message_id=message_id or str(uuid.uuid4()), body=body, sent_at=now, visible_at=now + delay
        )  # fmt: skip
        with self.changed:
            while len(self.messages) >= _MOST_MESSAGES:
                del self.messages[next(iter(self.messages))]
            self.messages[uuid.uuid4().hex] = message
            self.changed.notify_all()
        return message

    def receive(self, count: int, *, visibility: int | None = None, wait: float = 0.0) -> list[Message]:
        """Up to `count` visible messages, hidden from now on; waits up to `wait` seconds for the first."""
        until = self.timer() + wait
        with self.changed:
            while not (found := self._visible()) and (left := until - self.timer()) > 0:
                self.changed.wait(min(left, 0.25))
            if self.shuffle:
                self.random.shuffle(found)
            hidden = self.visibility if visibility is None else visibility
            for key in found[:count]:
                message = self.messages[key]
                message.receives += 1
                message.visible_at = self.timer() + hidden
                message.handle = f"{key}:{message.receives}:{uuid.uuid4().hex}"
                self.handles[message.handle] = key
            return [self.messages[key] for key in found[:count]]

    def delete(self, handle: str) -> bool:
        """Delete by any handle of the message; False for a handle nobody gave out. Twice is fine."""
        with self.changed:
            if handle not in self.handles:
                return False
            message = self.messages.get(self.handles[handle])
            if message is None:
                return True
            if self.duplicate and self.random.random() < self.duplicate:
                message.visible_at = self.timer()  # one of its copies did not hear of the deletion
                self.changed.notify_all()
                return True
            del self.messages[self.handles[handle]]
            self.deleted += 1
            return True

    def hide(self, handle: str, seconds: float) -> bool:
        """Let a received message stay hidden so long from now; False when it is not in flight."""
        with self.changed:
            message = self.messages.get(self.handles.get(handle, ""))
            if message is None or message.handle != handle:
                return False
            message.visible_at = self.timer() + seconds
            self.changed.notify_all()
            return True

    def expire(self) -> int:
        """Let every receipt run out now; returns how many messages can be received again."""
        with self.changed:
            hidden = [m for m in self.messages.values() if m.visible_at > self.timer()]
            for message in hidden:
                message.visible_at = self.timer()
            self.changed.notify_all()
            return len(hidden)

    def counts(self) -> tuple[int, int]:
        """(visible, in flight)."""
        with self.changed:
            visible = len(self._visible())
            return visible, len(self.messages) - visible

    def _visible(self) -> list[str]:
        now = self.timer()
        return [key for key, message in self.messages.items() if message.visible_at <= now]
