"""Buyers in the admin: masked everywhere; shown for a reason, kept by law, erased on request, with the proof."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import make_aware
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin
from domventas.core.errors import DomventasError
from domventas.core.links import to_row
from domventas.core.models import PiiAccess
from domventas.core.pages import page
from domventas.core.reveal import Revealed, Revealing
from orders.models import BuyerContact, Erasure
from orders.selectors import detail
from orders.services import buyers

#: Whoever may erase and keep buyers' data.
CARE = "orders.delete_buyercontact"


class EraseForm(forms.Form):
    """Who asks for the erasure, and by which way."""

    reason = forms.CharField(label=_("Reason"), min_length=8, max_length=300, help_text=_("Without the buyer's data."))


class HoldForm(EraseForm):
    """Why the data has to stay, and until when."""

    until = forms.DateField(label=_("Kept until"), widget=forms.DateInput(attrs={"type": "date"}))


@admin.register(BuyerContact)
class BuyerContactAdmin(Revealing, FactsAdmin):
    """Buyers: masked in list and page."""

    list_display = ("order_link", "masked", "country", "purge_at", "purged_at", "hold_until")
    list_display_links = ("masked",)
    list_filter = ("country", ("purged_at", admin.EmptyFieldListFilter), ("hold_until", admin.EmptyFieldListFilter))
    list_select_related = ("order",)
    search_fields = ("order__external_id",)
    fields = (
        "order_link", "masked", "reveal_link", "care_links", "country", "purge_at", "purged_at", "hold_until",
        "hold_reason", "hold_by",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BuyerContact]:
        """With the order that is shown beside."""
        return super().get_queryset(request).select_related("order")

    def get_urls(self) -> list[Any]:
        """With the forms for erasing and keeping."""
        erase = self.admin_site.admin_view(self.erase_view)
        hold = self.admin_site.admin_view(self.hold_view)
        own = [
            path("<path:object_id>/erase/", erase, name="orders_buyercontact_erase"),
            path("<path:object_id>/hold/", hold, name="orders_buyercontact_hold"),
        ]
        return [*own, *super().get_urls()]

    def get_fields(self, request: HttpRequest, obj: BuyerContact | None = None) -> Any:
        """The links only for those who may follow them."""
        fields = super().get_fields(request, obj)
        return fields if request.user.has_perm(CARE) else [name for name in fields if name != "care_links"]

    def revealed(self, row: BuyerContact, *, reason: str, way: PiiAccess.Way) -> Revealed:
        """Everything that is stored, for shipping and for answering the buyer."""
        return Revealed(fields=buyers.reveal(row, reason=reason, now=clock(), way=way))

    def erase_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Erase this person in all orders, and everywhere else."""
        row, form = self._asked(request, object_id), EraseForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                proof = buyers.erase([row], reason=form.cleaned_data["reason"], now=clock())
            except DomventasError as error:
                messages.error(request, error.message)
            else:
                messages.success(request, _("The person is erased; this is the proof."))
                return redirect("admin:orders_erasure_change", proof.pk)
        return self._form(request, row, form, title=_("Erase this person"), verb=_("Erase for good"), warns=True)

    def hold_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Keep this contact beyond its day."""
        row, form = self._asked(request, object_id), HoldForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            until = make_aware(datetime.combine(form.cleaned_data["until"], time.max))
            try:
                buyers.hold([row], until=until, reason=form.cleaned_data["reason"], now=clock())
            except DomventasError as error:
                messages.error(request, error.message)
            else:
                return redirect("admin:orders_buyercontact_change", row.pk)
        return self._form(request, row, form, title=_("Keep by law"), verb=_("Keep"), warns=False)

    @admin.display(description=_("order"))
    def order_link(self, contact: BuyerContact) -> str:
        """Their order."""
        return to_row(contact.order)

    @admin.display(description=_("buyer"))
    def masked(self, contact: BuyerContact) -> str:
        """Enough to recognize, not enough to know."""
        return detail.masked(contact)

    @admin.display(description=_("duties"))
    def care_links(self, contact: BuyerContact) -> SafeString | str:
        """To the forms for erasing and keeping."""
        if contact.purged_at is not None:
            return "–"
        links = (("erase", _("Erase on request …")), ("hold", _("Keep by law …")))
        rows = ((reverse(f"admin:orders_buyercontact_{name}", args=[contact.pk]), label) for name, label in links)
        return format_html_join(" ", '<a href="{}">{}</a>', rows)

    def _asked(self, request: HttpRequest, object_id: str) -> BuyerContact:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not request.user.has_perm(CARE):
            raise PermissionDenied
        return row

    def _form(
        self, request: HttpRequest, row: BuyerContact, form: forms.Form, *, title: Any, verb: Any, warns: bool
    ) -> HttpResponse:
        context = {"title": title, "subject": detail.masked(row), "form": form, "verb": verb, "warns": warns}
        return page(request, "orders/buyer.html", context)


@admin.register(Erasure)
class ErasureAdmin(FactsAdmin):
    """Proofs of erasure: they name nobody."""

    list_display = ("at", "actor", "reason", "count", "where")
    fields = readonly_fields = ("at", "actor", "reason", "orders", "fields_erased", "where", "kept_by_law")
    ordering = ("-at",)

    @admin.display(description=_("orders"))
    def count(self, proof: Erasure) -> int:
        """How many orders."""
        return len(proof.orders)

    @admin.display(description=_("what was erased"))
    def fields_erased(self, proof: Erasure) -> str:
        """Which fields of the contacts."""
        return ", ".join(map(str, proof.fields)) or "–"

    @admin.display(description=_("where, and how many rows"))
    def where(self, proof: Erasure) -> SafeString:
        """Places and counts."""
        return format_html_join("", "<div>{}: {}</div>", sorted(proof.places.items()))

    @admin.display(description=_("kept by law"))
    def kept_by_law(self, proof: Erasure) -> SafeString | str:
        """Orders that had to stay, and why."""
        rows = ((one["order"], one["until"], one["reason"]) for one in proof.kept)
        return format_html_join("", "<div>{}, {}: {}</div>", rows) or format_html("{}", _("nothing"))
