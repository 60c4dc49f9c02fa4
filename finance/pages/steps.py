"""Turning the pages of a long list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.paginator import Page
from django.http import HttpRequest

from domventas.core.pages import with_query


@dataclass(frozen=True, slots=True)
class Steps:
    """Where a page of a list stands: addresses of its neighbors, empty where there is none."""

    number: int
    pages: int
    count: int
    before: str
    after: str


def steps(request: HttpRequest, shown: Page[Any]) -> Steps:
    """The neighbors of a page, with all other parameters kept."""
    return Steps(
        number=shown.number,
        pages=shown.paginator.num_pages,
        count=shown.paginator.count,
        before=with_query(request, page=shown.number - 1) if shown.has_previous() else "",
        after=with_query(request, page=shown.number + 1) if shown.has_next() else "",
    )
