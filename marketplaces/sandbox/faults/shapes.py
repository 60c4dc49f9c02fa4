"""What faults must know of a wire's answers; each wire says it in a module `<wire>_faults` beside it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .. import wire
from ..wire.http import Handler, Request, Response

Special = Callable[[Request, Handler], Response | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The answers of one path.

    Attributes:
        path: pattern of the whole path. rows: keys that lead to the list of records in the body.
        required: fields, dotted, without which a record cannot be read. optional: fields a record may lack.
        words: fields that hold one word of a list. next_token: keys of the following page's token; token: the
        parameter it travels in. older: makes an earlier state of a record out of the present one.
        specials: faults only this wire knows, by the name of their kind; each answers the request its own way.
    """

    path: str
    method: str = "GET"
    rows: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    next_token: tuple[str, ...] = ()
    token: str = ""
    older: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    specials: Mapping[str, Special] = field(default_factory=dict)

    def rows_of(self, body: Any) -> list[dict[str, Any]]:
        """The records in a body; the very list, so that it can be changed."""
        found = inside(body, self.rows)
        return found if isinstance(found, list) else []


def inside(body: Any, keys: tuple[str, ...]) -> Any:
    """What stands at the end of a way of keys; None where it breaks off."""
    for key in keys:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def holders(row: Any, way: str) -> list[tuple[dict[str, Any], str]]:
    """Every object that holds the field at a dotted way; `[]` goes through the items of a list."""
    *before, last = way.split(".")
    found = [row]
    for step in before:
        name, _, many = step.partition("[]")
        nested = [one.get(name) for one in found if isinstance(one, dict)]
        if many or step.endswith("[]"):
            nested = [item for items in nested if isinstance(items, list) for item in items]
        found = nested
    return [(one, last) for one in found if isinstance(one, dict) and last in one]


@lru_cache(maxsize=1)
def shapes() -> list[tuple[str, re.Pattern[str], Shape]]:
    """All shapes of all wires."""
    found: list[tuple[str, re.Pattern[str], Shape]] = []
    for module in pkgutil.iter_modules(wire.__path__):
        if module.name.endswith("_faults"):
            told: tuple[Shape, ...] = importlib.import_module(f"{wire.__name__}.{module.name}").SHAPES
            found += [(shape.method, re.compile(shape.path + r"\Z"), shape) for shape in told]
    return found


def shape_of(request: Request) -> Shape | None:
    """The shape of what a request is answered with, if its wire has told."""
    fitting = (s for method, path, s in shapes() if method == request.method and path.match(request.path))
    return next(fitting, None)
