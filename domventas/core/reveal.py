"""The one way to see personal data: a form that asks why, a line in the access log, then the data, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache

from domventas.core.errors import DomventasError
from domventas.core.models import PiiAccess
from domventas.core.pages import page

#: Whoever may see buyers; with a reason, each time.
SEE: Final = "orders.view_buyercontact"
TAKE: Final = "orders.export_buyercontact"


@dataclass(frozen=True, slots=True)
class Revealed:
    """What is shown: named values, or one text; `file` is what may be taken away instead."""

    fields: Mapping[str, str] | None = None
    text: str = ""
    file: bytes = b""
    file_name: str = ""


class Revealing:
    """For an admin whose rows hold personal data: everything is masked, and `reveal_link` leads to the form.

    The admin says what there is in `revealed`, which writes to the access log before it returns anything.
    """

    may_be_taken = False

    def revealed(self, row: Any, *, reason: str, way: PiiAccess.Way) -> Revealed:
        """The personal data of a row. Raises: DomventasError: no reason, or nothing to show."""
        raise NotImplementedError

    def get_urls(self) -> list[Any]:
        """With the form's address."""
        name = self._address_name()
        view = self.admin_site.admin_view(self.reveal_view)  # type: ignore[attr-defined]  # a ModelAdmin
        urls: list[Any] = super().get_urls()  # type: ignore[misc]  # a ModelAdmin
        return [path("<path:object_id>/reveal/", view, name=name), *urls]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The link only for those who may follow it."""
        fields = super().get_fields(request, obj)  # type: ignore[misc]  # a ModelAdmin
        return fields if request.user.has_perm(SEE) else [name for name in fields if name != "reveal_link"]

    def reveal_link(self, row: Any) -> SafeString | str:
        """To the form that asks why."""
        url = reverse(f"admin:{self._address_name()}", args=[row.pk])
        return format_html('<a href="{}">{}</a>', url, _("Show the personal data …"))

    reveal_link.short_description = _("personal data")  # type: ignore[attr-defined]  # how Django's admin is told

    @method_decorator(never_cache)
    def reveal_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Ask why, write it down, show."""
        row = self.get_object(request, object_id)  # type: ignore[attr-defined]  # a ModelAdmin
        if row is None:
            raise Http404
        if not (self.has_view_permission(request, row) and request.user.has_perm(SEE)):  # type: ignore[attr-defined]  # a ModelAdmin
            raise PermissionDenied
        takes = "file" in request.POST
        may_take = self.may_be_taken and request.user.has_perm(TAKE)
        if takes and not may_take:
            raise PermissionDenied
        context: dict[str, Any] = {"title": _("Show personal data"), "subject": row, "may_take": may_take}
        if request.method == "POST":
            way = PiiAccess.Way.EXPORTED if takes else PiiAccess.Way.SHOWN
            try:
                found = self.revealed(row, reason=request.POST.get("reason", ""), way=way)
            except DomventasError as error:
                context["problem"] = error.message
            else:
                if takes:
                    return _file(found)
                context["found"] = found
        return page(request, "core/reveal.html", context)

    def _address_name(self) -> str:
        meta = self.model._meta  # type: ignore[attr-defined]  # a ModelAdmin
        return f"{meta.app_label}_{meta.model_name}_reveal"


def _file(found: Revealed) -> HttpResponse:
    response = HttpResponse(found.file, content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{found.file_name}"'
    return response
