"""Filters whose values a database can hold."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField


class _Moment(IsoDateTimeField):  # type: ignore[misc]  # has no types
    def to_python(self, value: Any) -> Any:
        """In UTC: PostgreSQL knows no zone sixteen hours away."""
        found = super().to_python(value)
        if found is None:
            return None
        try:
            return found.astimezone(UTC)
        except OverflowError:
            raise forms.ValidationError(_("No calendar reaches that far.")) from None


class MomentFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # has no types
    """A moment with its zone."""

    field_class = _Moment
