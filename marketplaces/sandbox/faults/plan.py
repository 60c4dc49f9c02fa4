"""Which request meets which fault: decided by the seed, the request and how often it has been asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from ..world.faults import PLANS as WORLD_PLANS
from . import network, payload, records, special
from .kinds import KINDS

__all__ = ["PLANS", "Plan", "named", "split"]
_REGISTERED = (network, payload, records, special)

#: Name → groups of kinds.
_GROUPS: dict[str, tuple[str, ...]] = {
    "calm": (),
    "network": ("network",),
    "payload": ("payload",),
    "records": ("records",),
    "pages": ("pages", "access"),
    "reports": ("reports",),
    "storm": ("network", "payload", "records", "pages", "access", "reports"),
}
#: What each named plan holds: kinds after which asking again brings the truth. A plan spelled out may hold the others.
PLANS: dict[str, tuple[str, ...]] = {
    name: tuple(kind.name for kind in KINDS.values() if kind.group in groups and kind.heals)
    for name, groups in _GROUPS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A seeded plan of faults.

    Attributes:
        rate: share of requests that are spoiled.
        most: at most so many times running for one and the same request, so that whoever goes on asking gets an answer.
        stall: longest time an answer is held back [s].
        page: at most so many records a page, so that there is something to go wrong between two; 0 = as many as asked.
    """

    kinds: tuple[str, ...] = ()
    seed: int = 1
    rate: float = 0.3
    most: int = 3
    stall: float = 0.05
    page: int = 0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.kinds if name not in KINDS]:
            raise ValueError(f"unknown kinds of fault {', '.join(unknown)}; there are {', '.join(KINDS)}")
        if not 0 <= self.rate <= 1 or self.most < 1 or self.stall < 0 or self.page < 0:
            raise ValueError("rate must be between 0 and 1, most 1 or more, stall and page not negative")

    def order(self, request: str, attempt: int) -> tuple[str, ...]:
        """The kinds to try on an attempt (counted from 1), the first that fits counts; none = answer truly.

        Pure: the same seed, request and attempt give the same kinds in the same order.
        """
        running = 0
        for number in range(1, attempt + 1):
            rng = self._rng(request, number)
            spoiled = bool(self.kinds) and running < self.most and rng.random() < self.rate
            running = running + 1 if spoiled else 0
        return tuple(rng.sample(self.kinds, len(self.kinds))) if spoiled else ()

    def _rng(self, request: str, attempt: int) -> Random:
        return Random(f"{self.seed}/{request}/{attempt}")

    def chance(self, request: str, attempt: int) -> Random:
        """The chance by which a fault picks its place."""
        return Random(f"{self.seed}/{request}/{attempt}/place")


def named(plan: str | Mapping[str, Any], **more: Any) -> Plan:
    """A plan by name, or spelled out as {kinds | plan, seed, rate, most, stall, page}; what is given apart wins.

    Raises ValueError for a plan, kind or field nobody knows.
    """
    told: dict[str, Any] = {"plan": plan} if isinstance(plan, str) else dict(plan)
    told |= {name: value for name, value in more.items() if value is not None}
    name = told.pop("plan", "calm")
    if name not in PLANS:
        raise ValueError(f"unknown fault plan {name!r}; there are {', '.join(PLANS)}")
    kinds = tuple(told.pop("kinds", None) or PLANS[name])
    try:
        return Plan(
            kinds=kinds, seed=int(told.pop("seed", 1)), rate=float(told.pop("rate", 0.3)),
            most=int(told.pop("most", 3)), stall=float(told.pop("stall", 0.05)), page=int(told.pop("page", 0)), **told,
        )  # fmt: skip
    except TypeError as problem:
        raise ValueError(f"a fault plan has no such field: {problem}") from problem


def split(faults: str, *, seed: int) -> tuple[str, Plan]:
    """What `--faults` says: the plan for the world's money and the plan for the wire.

    `payment`, `none`: a world's plan alone. `storm`: a plan of the wire, in a world with the usual one.
    `none,storm`: both. `{"world": "none", "plan": "network", "seed": 3, "rate": 0.5}`: spelled out.
    Raises ValueError for a plan nobody knows.
    """
    if faults.lstrip().startswith("{"):
        told = json.loads(faults)
        if not isinstance(told, dict):
            raise ValueError("a fault plan spelled out is a JSON object")
        return told.pop("world", WORLD_PLANS[0]), named({"seed": seed, **told})
    names = [name.strip() for name in faults.split(",") if name.strip()]
    unknown = [name for name in names if name not in WORLD_PLANS and name not in PLANS]
    if unknown or len(names) > 2:
        raise ValueError(f"unknown fault plan {faults!r}; there are {', '.join([*WORLD_PLANS, *PLANS])}")
    world = next((name for name in names if name in WORLD_PLANS), WORLD_PLANS[0])
    return world, named(next((name for name in names if name in PLANS), "calm"), seed=seed)
