"""Blanks personal data inside a raw document and leaves everything else as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
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
    return _MARKED.sub(r"\1", text).encode()


def _blank(node: Any, steps: list[str]) -> None:
    step, rest = steps[0], steps[1:]
    if step == "[]":
        keys: Iterable[Any] = range(len(node)) if isinstance(node, list) else ()
    elif step == "*":
        keys = list(node) if isinstance(node, dict) else ()
    else:
        keys = (step,) if isinstance(node, dict) and step in node else ()
    for key in keys:
        if rest:
            _blank(node[key], rest)
        else:
            node[key] = None
