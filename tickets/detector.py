"""What a detector is: a question about what is wrong now, answered with findings, never with writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad: `open` may open a ticket, `hold` keeps one open but opens none (hysteresis)."""

    OPEN = "open"
    HOLD = "hold"


class Category(StrEnum):
    """The corner of the house a type belongs to."""

    CATALOG = "catalog"
    INVENTORY = "inventory"
    ORDERS = "orders"
    FINANCIAL = "financial"
    ADVERTISING = "advertising"
    TECHNICAL = "technical"
    GENERAL = "general"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One thing that is not clearly healthy now. Only absence counts as healthy.

    Attributes:
        fingerprint: the same for the same thing in every run.
        ticket_key: findings with one key share one ticket (a cause at a site with a rate).
        amount: one-off money at stake [currency], signed as seen by us; None when it is not about an amount.
        impact_day: contribution lost per day [the client's base currency]; None = derived from `amount` ÷ 30.
        severity: at least this one, where waiting costs more than the amount tells (a penalty, an account's standing).
        confidence: 0.3–1, how sure the sample makes us.
        happened_at: when it happened; what is older than the claim window is counted as expired, not as work.
    """

    check: str
    fingerprint: str
    ticket_key: str
    title: str
    ticket_title: str
    cause: str
    action: str
    account_id: int | None = None
    channel: str = ""
    brand_id: int | None = None
    level: Level = Level.OPEN
    amount: Decimal | None = None
    currency: str = ""
    impact_day: Decimal | None = None
    confidence: Decimal = Decimal(1)
    severity: str = ""
    deadline_at: datetime | None = None
    happened_at: datetime | None = None
    suppressed_by: str = ""
    refs: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a detector is given: the moment, and its limits as this client set them."""

    now: datetime
    limits: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One ticket type.

    Attributes:
        name: the type's code, the same as its module.
        job: the scheduled job that runs it.
        inputs: flows it judges by; accounts where one of them is stale neither open nor close anything.
        limits: code → default; the client overrides them as thresholds.
        open_after / close_after: runs in a row before a ticket opens / before a finding counts as gone.
        takes_position: the first run on an account writes a starting position instead of opening tickets; False for
            what is only ever about now.
    """

    name: str
    label: Any
    category: Category
    job: str
    find: Callable[[Look], Iterator[Seen]]
    inputs: tuple[str, ...] = ()
    limits: Mapping[str, Decimal] = field(default_factory=dict)
    open_after: int = 1
    close_after: int = 2
    takes_position: bool = True
