"""Tables of the money pages as files, for those who may take figures out of the house."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

EXPORT: Final = "finance.export_settlement"
#: A cell that begins so would be run as a formula by a spreadsheet.
FORMULA: Final = ("=", "+", "@", "-", "\t", "\r")


def wants_csv(request: HttpRequest) -> bool:
    """Whether the address asks for a file. Raises: PermissionDenied: the person may not export."""
    if request.GET.get("format") != "csv":
        return False
    if not request.user.has_perm(EXPORT):
        raise PermissionDenied
    return True


def as_csv(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """The rows as a file in UTF-8; unknown values stay empty, amounts have a plain minus and a point."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    writer = csv.writer(response)
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return response


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value
