"""Blanks personal data inside a raw document and leaves everything else as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

#: Marks a number with a point while the document is in memory, so that it is written back digit by digit.
_MARK: Final = "\x00number "
_MARKED: Final = re.compile(r'"\\u0000number ([^"]+)"')


def blank(body: bytes, paths: Iterable[str]) -> bytes:
    """The JSON document with null at each path (`a.b[].c`; `[]` stands for every element, `*` for every key).

    Raises: ValueError: not JSON.
    """
    document = json.loads(body.decode("utf-8-sig"), parse_float=lambda text: _MARK + text)
    for path in paths:
        _blank(document, path.replace("[]", ".[]").strip(".").split("."))
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _MARKED.sub(r"\1", text).encode("utf-8", "backslashreplace")  # half a character stays the escape it was


def places(document: Any, paths: Iterable[str]) -> Iterator[Any]:
    """What stands at the paths of a document that was read from JSON."""
    for path in paths:
        yield from _at(document, path.replace("[]", ".[]").strip(".").split("."))


def _at(node: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield node
        return
    for key in _keys(node, steps[0]):
        yield from _at(node[key], steps[1:])


def _blank(node: Any, steps: list[str]) -> None:
    rest = steps[1:]
    for key in _keys(node, steps[0]):
        if rest:
            _blank(node[key], rest)
        else:
            node[key] = None


def _keys(node: Any, step: str) -> Iterable[Any]:
    if step == "[]":
        return range(len(node)) if isinstance(node, list) else ()
    if step == "*":
        return list(node) if isinstance(node, dict) else ()
    return (step,) if isinstance(node, dict) and step in node else ()
