"""What a marketplace tells us without being asked: how a message is proved, and what it hints at.

Part of the port: plain Python, pure functions over raw bytes. A hint is only a hint: the thing itself is fetched, so
neither order nor repetition nor a lie about its content matters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """What a hint makes us do."""

    FETCH = "fetch"
    """Fetch the thing `ref` of `flow`."""
    REPORT = "report"
    """Look after the asynchronous report `ref` now."""
    NOTHING = ""
    """Keep it and count it: nothing of ours asks for this kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One message as it came: header names in lower case, the body byte by byte."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something may have changed.

    Attributes:
        event_id: the sender's id of this message; a repetition bears the same.
        kind: the sender's own word for it.
        ref: the source's id of the thing.
        occurred_at: when it changed, where the message says so (aware UTC).
    """

    event_id: str
    kind: str
    effect: Effect = Effect.NOTHING
    flow: str = ""
    ref: str = ""
    occurred_at: datetime | None = None


class Forged(Exception):
    """Nothing proves that the marketplace sent this: no signature, a wrong one, or one that has run out.

    Its text is for people who set up the address; it never holds the message, a secret or a signature.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribed:
    """A subscription as the marketplace has it.

    Attributes:
        ref: its id there.
        target: where it delivers to, as `Asking.target` names our own address.
    """

    ref: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How a marketplace is asked to send its events: what, where to, and the three calls it takes.

    The calls are kept apart so that whoever uses them can look before he asks, and look again when an answer is lost.
    A border error is let through; `create` of what is there already may raise `Refused` with status 409.

    Attributes:
        topics: what to ask for, by the marketplace's own names. One may be refused while the others are granted.
        inlet: the kind of our addresses it delivers to: `sqs` or `webhook`.
        target: (session, our address: a queue's or a webhook's URL) → the marketplace's own name of it, under which it
            is made known there if it is not yet. Repeatable.
        find: (session, topic) → the subscription as it stands there; None when there is none.
        create: (session, topic, target) → the new subscription.
        remove: (session, topic, ref) → nothing; one that is gone already is no error.
    """

    topics: tuple[str, ...]
    inlet: str
    target: Callable[[Any, str], str]
    find: Callable[[Any, str], Subscribed | None]
    create: Callable[[Any, str, str], Subscribed]
    remove: Callable[[Any, str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """A connector's capability to be told things.

    Attributes:
        read: one message → its hints. Raises `Malformed`.
        verify: (message, active secrets, now) → None, or `Forged`; None when the marketplace sends no webhooks.
            Compares in constant time and accepts any of several secrets, as they overlap during a rotation.
        queues: the notification types that come by a queue; empty when it has none.
        seller: the account a queue's message is for, as `Account.external_id`. Raises `Malformed`.
    """

    read: Callable[[Arrived], Sequence[Hint]]
    verify: Callable[[Arrived, Sequence[str], datetime], None] | None = None
    queues: tuple[str, ...] = ()
    seller: Callable[[Arrived], str] | None = None
    asking: Asking | None = None
    """How to ask the marketplace for its events; None where people do it in its own pages, or it needs no asking."""
