"""Tables as files people open in a spreadsheet: no cell becomes a formula, no figure becomes text."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import Final

from django.http import HttpResponse

#: A text that begins so would be run by some spreadsheet; the last four are the full-width forms.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_csv(name: str, head: Sequence[object], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """The rows as a file in UTF-8; unknown values stay empty, amounts have a plain minus and a point."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(response)
    writer.writerow([cell(value) for value in head])
    writer.writerows([cell(value) for value in row] for row in rows)
    return response


def cell(value: object) -> object:
    """A value as it may stand in a cell: texts like formulas get an apostrophe in front, numbers stay numbers."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else None
    if text is not None and text.lstrip(" \u00a0").startswith(FORMULA):
        return f"'{text}"
    return value


def plain(text: str) -> str:
    """What `cell` has made safe, as it was: reading a file of ours back changes nothing."""
    if text.startswith("'") and cell(text[1:]) == text:
        return text[1:]
    return text
