"""What must hold in the books whatever happened before: sums that agree, facts that have their counterpart.

An app lists its rules in `<app>/selectors/books.py` as `CHECKS`; nothing else has to be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.db import connection

from domventas.core import tenancy


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One rule. `broken` is a query that returns one text per broken row and takes only `%(client)s`."""

    name: str
    broken: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How a rule stands for the acting client: how many rows break it, and the first of them."""

    name: str
    rows: int
    examples: list[str]

    @property
    def ok(self) -> bool:
        """No row breaks it."""
        return self.rows == 0


def checks() -> Iterator[Check]:
    """The rules of all apps, in the order in which apps build on each other."""
    for config in apps.get_app_configs():
        name = f"{config.name}.selectors.books"
        if find_spec(f"{config.name}.selectors") and find_spec(name):
            yield from import_module(name).CHECKS


def verify() -> list[Checked]:
    """Hold every rule against the acting client's rows; one query per rule. Raises: NoClient."""
    client = tenancy.current().one
    found = []
    for check in checks():
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*), (array_agg(b ORDER BY b))[1:3] FROM ({check.broken}) AS broken (b)",
                {"client": client},
            )
            rows, examples = cursor.fetchone()
        found.append(Checked(name=check.name, rows=rows, examples=examples or []))
    return found
