"""Rows of a settlement file: names of its columns, then one row after the other."""

from __future__ import annotations

from collections.abc import Iterator

from marketplaces.errors import Malformed
from marketplaces.protocols.sheets import Row


def header(text: str) -> tuple[list[str], int]:
    """Names of the columns, lower case, and where the data begins.

    Raises:
        Malformed: the first line is no header of a settlement file.
    """
    end = text.find("\n")
    first = text if end < 0 else text[:end]
    names = [name.strip().strip('"').lower() for name in first.rstrip("\r").split("\t")]
    if "settlement-id" not in names or "total-amount" not in names:
        start = first.strip()[:40] or "nothing"
        raise Malformed(
            f"This is no settlement file: its first line should name the columns settlement-id and total-amount, "
            f"but begins with “{start}”.",
            path="row 1",
        )
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise Malformed(f"Row 1: the column {twice} occurs twice.", path="row 1")
    return names, len(text) if end < 0 else end + 1


def cells(text: str, names: list[str], start: int, *, shortest_first: int = 6) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of one data row after the other, as they stand, without ever holding all of them.

    The first row (the summary) may leave out its empty fields, if a line break follows; any other short row is cut.
    """
    number, first = 1, True
    while start < len(text):
        end = text.find("\n", start)
        line = text[start:] if end < 0 else text[start:end]
        start = len(text) if end < 0 else end + 1
        number += 1
        line = line.removesuffix("\r")
        if not line.strip("\t \x1a"):
            continue
        fields = line.split("\t")
        if len(fields) < len(names) and not (first and end >= 0 and len(fields) >= shortest_first):
            last = names[len(fields) - 1]
            raise Malformed(
                f"Row {number} is cut: it has {len(fields)} of {len(names)} fields and ends in {last}. "
                "The file is not complete; please fetch it again.",
                path=f"row {number}.{last}",
            )
        if len(fields) > len(names):
            raise Malformed(
                f"Row {number} has {len(fields)} fields, but the file has {len(names)} columns.", path=f"row {number}"
            )
        first = False
        yield number, fields


def row(number: int, names: list[str], fields: list[str]) -> Row:
    """The row with its cells by column, without blanks around them."""
    return Row(number, dict(zip(names, map(str.strip, fields), strict=False)))


def rows(text: str, names: list[str], start: int) -> Iterator[Row]:
    """Data rows one after the other."""
    for number, fields in cells(text, names, start):
        yield row(number, names, fields)
