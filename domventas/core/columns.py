"""Columns of admin lists as people read them: money in its currency, codes as words, spans of time by the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from django.contrib.postgres.fields import DateTimeRangeField
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils import timezone
from django.utils.dateformat import format as date_format

from domventas.core.fields import AmountField
from domventas.core.templatetags.figures import DASH, money, money_plain, spoken

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
    if isinstance(field, DateTimeRangeField):
        return _named(lambda row: _span(getattr(row, name)), field)
    if isinstance(field, models.CharField) and field.choices and all(code == text for code, text in field.flatchoices):
        return _named(lambda row: spoken(getattr(row, name)), field)
    return name


def _amount(row: models.Model, name: str) -> str:
    value, currency = getattr(row, name), getattr(row, "currency", "")
    return money(value, currency) if currency else money_plain(value)


def _span(value: Any) -> str:
    """From when until when, in the reader's zone; the second day only where it is another one."""
    if not value:
        return DASH
    start, end = (moment and timezone.localtime(moment) for moment in (value.lower, value.upper))
    same_day = start and end and start.date() == end.date()
    until = date_format(end, "H:i" if same_day else "j M Y, H:i") if end else DASH
    return f"{date_format(start, 'j M Y, H:i') if start else DASH} {DASH} {until}"


def _named(shown: Callable[[Any], str], field: models.Field[Any, Any]) -> Callable[[Any], str]:
    shown.short_description = field.verbose_name  # type: ignore[attr-defined]  # how Django's admin is told
    shown.admin_order_field = field.name  # type: ignore[attr-defined]  # the same
    return shown
