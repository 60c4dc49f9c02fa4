"""A raw document as people look at it: files of rows as a table around one row, everything else as text."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import Any, Final

from marketplaces.models import RawDocument
from marketplaces.selectors.raw import SHOWN, body_of, without_people

#: Rows shown at once, the wanted one in their middle.
ROWS: Final = 41
#: Characters of one field that are shown.
FIELD: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a file; `number` counts the file's lines, the heading is line 1. JSON counts its records from 1."""

    number: int
    cells: list[str]
    is_wanted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is shown of a document: a table (`names` and `lines`), or `text`.

    Attributes:
        total: lines of the file, or records of the document.
        first, last: the numbers shown; 0 when nothing is.
        is_hidden: True when it holds personal data that cannot be told apart and the person may not see buyers.
        is_cut: True when the text is longer than what is shown.
    """

    names: list[str]
    lines: list[Line]
    text: str
    total: int
    first: int
    last: int
    is_hidden: bool
    is_cut: bool


def seen_by(document: RawDocument, *, with_people: bool) -> bytes:
    """The bytes a person may have; nothing when personal data cannot be told apart.

    Raises: core.crypto.Unreadable: the client's key is gone.
    """
    return body_of(document) if with_people or not document.is_encrypted else without_people(document)


def view(document: RawDocument, *, with_people: bool, row: int | None = None) -> View:
    """The document for a page; `row` is the line to show and to mark. Raises: core.crypto.Unreadable."""
    body = seen_by(document, with_people=with_people)
    if not body and document.size:
        return _view(is_hidden=True)
    text = body.decode("utf-8-sig", "replace")
    try:
        found = json.loads(text, parse_float=str)
    except ValueError:
        return _table(text, row) or _view(text=text[:SHOWN], is_cut=len(text) > SHOWN)
    return _json(found, row)


def _json(found: Any, row: int | None) -> View:
    records = _records(found)
    if row is not None and 1 <= row <= len(records):
        one = json.dumps(records[row - 1], indent=2, ensure_ascii=False)
        return _view(text=one[:SHOWN], total=len(records), first=row, last=row, is_cut=len(one) > SHOWN)
    whole = json.dumps(found, indent=2, ensure_ascii=False)
    return _view(text=whole[:SHOWN], total=len(records), is_cut=len(whole) > SHOWN)


def _records(found: Any) -> list[Any]:
    """The document's records: itself, or the longest list one or two steps down."""
    if isinstance(found, list):
        return found
    if not isinstance(found, dict):
        return []
    inner = [value for value in found.values() if isinstance(value, dict)]
    lists = [value for place in (found, *inner) for value in place.values() if isinstance(value, list)]
    return max(lists, key=len, default=[])


def _table(text: str, row: int | None) -> View | None:
    """A window of a file with columns; None when it has none."""
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    mark = next((m for m in ("\t", ";", ",") if lines and m in lines[0]), None)
    if mark is None:
        return None
    wanted = row if row is not None and 1 <= row <= len(lines) else None
    first = max(2, (wanted or 2) - ROWS // 2)
    last = min(len(lines), first + ROWS - 1)
    shown = [
        Line(
            number=number, cells=[cell[:FIELD] for cell in _split(lines[number - 1], mark)], is_wanted=number == wanted
        )
        for number in range(first, last + 1)
    ]
    return _view(names=_split(lines[0], mark), lines=shown, total=len(lines), first=first, last=last)


def _split(line: str, mark: str) -> list[str]:
    return line.split("\t") if mark == "\t" else next(csv.reader([line], delimiter=mark), [])


def _view(**given: Any) -> View:
    nothing: dict[str, Any] = {
        "names": [], "lines": [], "text": "", "total": 0, "first": 0, "last": 0, "is_hidden": False, "is_cut": False
    }  # fmt: skip
    return View(**nothing | given)
