"""The kinds of faults: a name, the group it belongs to, and whether asking again brings the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from ..wire.http import Handler, Request, Response
from .shapes import Shape


@dataclass(slots=True, kw_only=True)
class Call:
    """One request that a fault may spoil.

    Attributes:
        serve: answers as the marketplace would have.
        shape: what is known of this path's answers; None for paths nobody has described.
        stall: longest time an answer is held back [s].
    """

    request: Request
    serve: Handler
    rng: Random
    shape: Shape | None
    stall: float

    def answer(self) -> Response | None:
        """The true answer, if it is a good one: nothing else is worth spoiling."""
        response = self.serve(self.request)
        return response if response.status < 300 else None

    def json(self) -> tuple[Response, Any] | None:
        """The true answer with its JSON object, if it is one."""
        response = self.answer()
        if response is None or "json" not in response.headers.get("Content-Type", ""):
            return None
        return response, json.loads(response.body)

    def records(self) -> tuple[Response, Any, list[dict[str, Any]]] | None:
        """The true answer, its JSON, and the list of records inside, if there are any."""
        if self.shape is None or not self.shape.rows or (found := self.json()) is None:
            return None
        rows = self.shape.rows_of(found[1])
        return (*found, rows) if rows else None


Spoil = Callable[[Call], Response | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fault. `spoil` returns None where it does not fit the request.

    Attributes:
        heals: asking again brings the truth, and the bad answer shows that it is one. Without it the answer is a
            plausible lie, which no reader can see through.
    """

    name: str
    group: str
    spoil: Spoil
    heals: bool = True


KINDS: dict[str, Kind] = {}


def kind(group: str, *, heals: bool = True) -> Callable[[Spoil], Spoil]:
    """Register a function as a kind of fault under its own name."""

    def register(spoil: Spoil) -> Spoil:
        name = spoil.__name__
        if name in KINDS:
            raise ValueError(f"two kinds of fault are called {name}")
        KINDS[name] = Kind(name=name, group=group, spoil=spoil, heals=heals)
        return spoil

    return register


def rewritten(response: Response, body: Any) -> Response:
    """The same answer with other JSON."""
    return replace(response, body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
