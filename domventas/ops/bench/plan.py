"""What a bench consists of: arms that do the same work in different ways, and the goals they are held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: `XS` is for the test suite: it shows that a bench works, its figures mean nothing.
SIZES = ("XS", "S", "M", "L")


class Timer:
    """Seconds and processor seconds spent inside its blocks; what is outside (making the input) does not count."""

    def __init__(self) -> None:
        self.seconds = self.cpu_seconds = 0.0

    def __enter__(self) -> Timer:
        self._started = (time.perf_counter(), time.process_time())
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._started[0]
        self.cpu_seconds += time.process_time() - self._started[1]


@dataclass(frozen=True, slots=True)
class Job:
    """What an arm is told: how large, which variant, where the input files lie."""

    size: str
    variant: str
    folder: Path
    timer: Timer = field(default_factory=Timer)


@dataclass(frozen=True, slots=True)
class Done:
    """What an arm did.

    Attributes:
        units: how many of the bench's units were worked through inside the timer.
        checks: name of a result → its checksum; arms that state the same name must agree.
        extra: further figures worth a line.
    """

    units: int
    checks: Mapping[str, str]
    extra: Mapping[str, Any] = field(default_factory=dict)


Run = Callable[[Job], Done]


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of doing the work. `role` is ours, reference, limit or also."""

    name: str
    role: str
    run: Run


@dataclass(frozen=True, slots=True)
class Goal:
    """Our rate is to be at least `factor` times that of another arm. `sizes`: where it is meant to hold."""

    arm: str
    factor: str
    sizes: tuple[str, ...] = ("S", "M", "L")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One measure: the first arm is ours, the second the reference `ratio` is taken against."""

    name: str
    unit: str
    arms: tuple[Arm, ...]
    goals: tuple[Goal, ...]
    seed: Run | None = None
    """Fills the throw-away database all arms start from; None where no database is needed."""
    rss_goal_mb: int | None = None
    """What an arm of ours may add to the memory of the idle process [MB]."""
    by_processor: bool = False
    """Rates are by processor seconds: for work that never waits, other people's load must not count."""
    no_rows: bool = False
    """Our arm must not write a single row."""
