"""Columns of admin lists as people read them: money in its currency and minor unit, codes as words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import models

from domventas.core.fields import AmountField
from domventas.core.templatetags.figures import money, money_plain, spoken

Column = str | Callable[[Any], Any]


def readable(model: type[models.Model], names: Sequence[Column]) -> list[Column]:
    """The list's columns, where amounts and bare codes are written for people; sorting stays as it was."""
    return [_column(model, name) if isinstance(name, str) else name for name in names]


@cache
def _column(model: type[models.Model], name: str) -> Column:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return name  # a method of the admin, or a property
    if isinstance(field, AmountField):
        return _named(lambda row: _amount(row, name), field)
    if isinstance(field, models.CharField) and field.choices and all(code == text for code, text in field.flatchoices):
        return _named(lambda row: spoken(getattr(row, name)), field)
    return name


def _amount(row: models.Model, name: str) -> str:
    value, currency = getattr(row, name), getattr(row, "currency", "")
    return money(value, currency) if currency else money_plain(value)


def _named(shown: Callable[[Any], str], field: models.Field[Any, Any]) -> Callable[[Any], str]:
    shown.short_description = field.verbose_name  # type: ignore[attr-defined]  # how Django's admin is told
    shown.admin_order_field = field.name  # type: ignore[attr-defined]  # the same
    return shown
