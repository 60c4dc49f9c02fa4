"""Links from one list of the admin to another, so that every row leads to its neighbors."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString


def to_list(model: type[models.Model] | str, label: str | Promise, **filters: Any) -> SafeString | str:
    """A link to the model's list with these filters; the model as a class or "app.model"."""
    name = model.lower() if isinstance(model, str) else model._meta.label_lower
    return _link(f"admin:{name.replace('.', '_')}_changelist", label, query=f"?{urlencode(filters)}")


def to_row(row: models.Model | None, label: str | Promise = "") -> SafeString | str:
    """A link to the row's own page; a dash where there is no row."""
    if row is None:
        return "–"
    return _link(f"admin:{row._meta.label_lower.replace('.', '_')}_change", label or str(row), args=[row.pk])


def to_raw(raw_id: int | None, label: str | Promise) -> SafeString | str:
    """A link to the marketplace's own bytes; a dash where none are kept."""
    return _link("marketplaces:raw", label, args=[raw_id]) if raw_id else "–"


def _link(route: str, label: str | Promise, *, args: list[Any] | None = None, query: str = "") -> SafeString | str:
    try:
        url = reverse(route, args=args)
    except NoReverseMatch:  # a model without a page of its own
        return str(label)
    return format_html('<a href="{}">{}</a>', url + query, label)
