"""An audit entry in the words of the house: what was changed, what it was, what it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from django.apps import apps
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from domventas.core.models import AuditEntry

#: Longest value shown [characters].
SHOWN: Final = 120
_LEFT_OUT: Final = frozenset({"id", "client_id"})


@dataclass(frozen=True, slots=True)
class Change:
    """One column: its name, what it was and what it is; a dash where there was or is nothing."""

    label: str
    was: str
    now: str


def kind(entry: AuditEntry) -> str:
    """What was done to the row."""
    if entry.table == AuditEntry._meta.db_table:
        return _("erased")
    if entry.before is None:
        return _("made")
    return _("removed") if entry.after is None else _("changed")


def subject(entry: AuditEntry) -> str:
    """The row as people call it: "Limit #7"."""
    model = model_of(entry.table)
    name = capfirst(str(model._meta.verbose_name)) if model else entry.table
    return f"{name} #{entry.row}"


def changes(entry: AuditEntry) -> list[Change]:
    """The columns that differ, in the order of the model; of a new or removed row all that say something."""
    before, after = entry.before or {}, entry.after or {}
    model = model_of(entry.table)
    order = [str(field.column) for field in model._meta.concrete_fields] if model else []
    keys = sorted({*before, *after} - _LEFT_OUT, key=lambda key: (order.index(key) if key in order else 999, key))
    found = []
    for key in keys:
        was, now = before.get(key), after.get(key)
        if was != now and not (_is_empty(was) and _is_empty(now)):
            field = _field(model, key)
            label = str(field.verbose_name) if field is not None else key.replace("_", " ")
            found.append(Change(label, _told(field, was), _told(field, now)))
    return found


@cache
def model_of(table: str) -> type[models.Model] | None:
    """The model that stands for a table; None for one that is gone."""
    return next((model for model in apps.get_models() if model._meta.db_table == table), None)


def audited_tables() -> list[tuple[str, str]]:
    """Every table whose changes are written down: (table, name)."""
    found = [model for model in apps.get_models() if getattr(model, "audited", False)]
    return sorted(((model._meta.db_table, capfirst(str(model._meta.verbose_name))) for model in found), key=str)


def _field(model: type[models.Model] | None, column: str) -> Any:
    return next((one for one in model._meta.concrete_fields if one.column == column), None) if model else None


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _told(field: Any, value: Any) -> str:
    if _is_empty(value):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, str) and value.startswith("sha256:"):
        return _("a secret (%(print)s)") % {"print": value.removeprefix("sha256:")}
    if field is not None and field.choices:
        value = dict(field.flatchoices).get(value, value)
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
