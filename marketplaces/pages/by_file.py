"""What no call brings: statements that people bring as files, in the monitor's grid and among what needs somebody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marketplaces.models import Account
from marketplaces.pages.words import FLOWS
from marketplaces.registry import connectors

Key = tuple[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a person does about something that is missing, and where it is told how."""

    text: str
    url: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What other apps know of flows, by account and flow.

    Attributes:
        missing: what is not here, in words.
        steps: what to do about that.
        newest: up to when the newest file tells, of what comes as files.
    """

    missing: dict[Key, str] = field(default_factory=dict)
    steps: dict[Key, Step] = field(default_factory=dict)
    newest: dict[Key, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCell:
    """One flow of one account that has no stream: the grid's mark, and its row where something is missing.

    `by_file` is False where a stream should bring it and none has begun.
    """

    account: Account
    flow: str
    label: Any
    by_file: bool
    newest: datetime | None
    missing: str
    step: Step | None


def file_cells(accounts: Iterable[Account], streams: Iterable[Key], known: Known) -> Iterator[FileCell]:
    """For what comes as files, and for what is missing of a flow that nothing reads."""
    read = set(streams)
    for account in accounts:
        for flow, label in FLOWS.items():
            key = (account.pk, flow)
            by_file = comes_by_file(account.channel, flow)
            if key not in read and (by_file or key in known.missing):
                yield FileCell(
                    account=account, flow=flow, label=label, by_file=by_file, newest=known.newest.get(key),
                    missing=known.missing.get(key, ""), step=known.steps.get(key),
                )  # fmt: skip


def comes_by_file(channel: str, flow: str) -> bool:
    """Whether the marketplace tells it by no call, and a file of it can be read."""
    connector = connectors.get(channel)
    if connector is None or flow != "settlements":
        return False
    return connector.settlements is None and connector.parse_settlement is not None


def gathered(parts: Iterable[Mapping[str, Any]]) -> Known:
    """What the panels of the page "monitor" know, together."""
    known = Known()
    for part in parts:
        known.missing.update(part["missing"])
        known.steps.update(part.get("steps", {}))
        known.newest.update(part.get("newest", {}))
    return known
