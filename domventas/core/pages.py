"""Report pages in the admin's shell: one template, its fragment for HTMX, filters that live in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from domventas.core import panels

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact of the trust line; panels of the page "trust" give a list of them as `facts`.

    Attributes:
        level: good, warn or bad.
        text, strong, rest: the sentence; `strong` is the part that counts.
    """

    level: str
    text: _StrOrPromise
    url: str
    strong: _StrOrPromise = ""
    rest: _StrOrPromise = ""


@dataclass(frozen=True, slots=True)
class FilterField:
    """One filter as the strip draws it."""

    name: str
    label: _StrOrPromise
    value: str
    choices: Sequence[tuple[str, _StrOrPromise]]
    is_set: bool


@dataclass(frozen=True, slots=True)
class FilterStrip:
    """The filters of a page: its address, and where the same rows are as CSV."""

    path: str
    fields: Sequence[FilterField]
    csv_url: str = ""


class GetForm(forms.Form):
    """Filters read from the address. A value nobody offers (an old link) is ignored, never an error.

    A field without `initial` is not set when empty.
    """

    def __init__(self, data: QueryDict | None = None, **options: Any) -> None:
        super().__init__(data=data if data is not None else QueryDict(), **options)

    @property
    def values(self) -> dict[str, Any]:
        """What to select by: the valid values given, else each field's `initial`."""
        self.full_clean()
        return {
            name: self.cleaned_data[name] if self._is_given(name) else self.get_initial_for_field(field, name)
            for name, field in self.fields.items()
        }

    def strip(self, request: HttpRequest, *, csv: bool = False) -> FilterStrip:
        """For the template `pages/partials/_filters.html`."""
        values = self.values
        fields = [
            FilterField(
                name=name,
                label=field.label or name,
                value="" if values[name] is None else str(field.prepare_value(values[name])),
                choices=[(str(value), label) for value, label in getattr(field, "choices", ())],
                is_set=self._is_given(name),
            )
            for name, field in self.fields.items()
        ]
        return FilterStrip(request.path, fields, with_query(request, format="csv") if csv else "")

    def _is_given(self, name: str) -> bool:
        return name in self.data and name not in self.errors and self.cleaned_data.get(name) not in (None, "")


def with_query(request: HttpRequest, **changes: object) -> str:
    """This page's address with some parameters changed; None takes one out. Paging and sorting use it."""
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"{request.path}?{query.urlencode()}" if query else request.path


def page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    partial: str | None = None,
    filters: GetForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """Draw a page in the shell, or only its named fragment when HTMX asks for it.

    Args:
        template: extends `pages/base.html`.
        partial: name of a `{% partialdef %}` in the template.
        filters: becomes the filter strip.
    """
    data: dict[str, Any] = dict(context or {})
    if filters is not None:
        data.setdefault("filters", filters.strip(request))
    if partial and is_fragment(request):
        return render(request, f"{template}#{partial}", data, status=status)
    drawn = panels.draw(request, "trust")
    shell = {
        **admin.site.each_context(request),
        "trust": [fact for part in drawn for fact in part.data.get("facts", ())],
        "monitor_url": next((part.data["monitor_url"] for part in drawn if "monitor_url" in part.data), ""),
    }
    return render(request, template, shell | data, status=status)


def is_fragment(request: HttpRequest) -> bool:
    """Whether HTMX asks for a part of the page (a boosted link wants the whole)."""
    htmx: Any = getattr(request, "htmx", None)
    return bool(htmx) and not htmx.boosted
