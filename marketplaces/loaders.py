"""How records become rows: each domain declares one loader per flow, and the pull engine finds it here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig, apps
from django.core import checks

from domventas.core.registry import Registry
from marketplaces.records import Rejected

if TYPE_CHECKING:
    from marketplaces.models import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """What a loader may know about the load it is part of.

    Attributes:
        now: the moment the load stands at; the only clock of a loader.
        raw_id: the raw document the records were read from; None for records that came another way.
        stream_id: the stream being read.
        is_redacted: personal data has been removed from the raw document, so a missing buyer says nothing.
        is_repair: the archive is read again; what is stored is not taken on trust, but compared row by row.
    """

    now: datetime
    raw_id: int | None
    stream_id: int | None = None
    is_redacted: bool = False
    is_repair: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a loader did with one page.

    Attributes:
        seen: records given.
        written: rows inserted or changed; 0 when everything was known already.
        by_day: rows truly inserted, by the day `count_by_day` counts them under; less one where one left for another
            day, see `moves`.
        rejected: records that were read but could not be stored.
        doubts: what was stored although it does not add up; believed only when the marketplace says it twice.
    """

    seen: int = 0
    written: int = 0
    by_day: Mapping[date, int] = field(default_factory=dict)
    rejected: Sequence[Rejected] = ()
    doubts: Sequence[str] = ()


def moves(before: Mapping[str, date | None], after: Mapping[str, date | None]) -> dict[date, int]:
    """By how much the count of each day changes when these things are stored, by their own ids.

    Without it a thing that the source dates anew, as money released weeks after it was booked, looks like a lost row.
    """
    found: Counter[date] = Counter()
    for ref, day in after.items():
        was = before.get(ref)
        if was != day:
            found.update({day: 1} if day else {})
            found.subtract({was: 1} if was else {})
    return {day: count for day, count in found.items() if count}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loader:
    """Stores the records of one flow.

    `load(account, records, run=LoadRun)` is called inside the engine's transaction and does no HTTP.
    `count_by_day(account, since, until)` tells how many rows are stored per day, since ≤ day < until, so that rows
    deleted later are noticed.
    """

    flow: str
    record: type
    load: Callable[..., Loaded]
    count_by_day: Callable[[Account, date, date], Mapping[date, int]]


loaders: Registry[Loader] = Registry(Loader, (), name_attribute="flow", missing_ok=True)
"""All loaders by flow, gathered from the `loaders` folder of every installed app."""


def gather() -> None:
    """Find the loaders of all apps; called once when the apps are ready."""
    loaders.packages = tuple(f"{app.name}.loaders" for app in apps.get_app_configs() if app.name != "marketplaces")
    loaders.load()


def check_loaders(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """System check: what a marketplace can tell us must have somewhere to go, as the records it comes in."""
    return list(_problems())


def _problems() -> Iterator[checks.CheckMessage]:
    from marketplaces.registry import connectors

    for connector in connectors.values():
        for name, flow in connector.flows.items():
            loader = loaders.get(name)
            if loader is None:
                yield checks.Error(f"{connector.name} brings {name}, which no app loads", id="marketplaces.E001")
            elif loader.record is not flow.record:
                told = f"{connector.name} brings {name} as {flow.record.__name__}, its loader takes"
                yield checks.Error(f"{told} {loader.record.__name__}", id="marketplaces.E002")
