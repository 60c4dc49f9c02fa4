"""Unknown offers: one click maps to the SKU they probably are, the form maps to any other."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from catalog.models import Sku, UnmappedItem
from catalog.services import mapping
from domventas.core import panels
from domventas.core.admin import HouseAdmin
from domventas.core.errors import DomventasError
from domventas.core.whomay import who_may

_FACTS = (
    "offer_ref", "seller_sku", "product_ref", "title", "account", "first_site", "state", "candidate",
    "candidate_reason", "first_seen_at", "mapped_by", "mapped_at", "waiting",
)  # fmt: skip


@admin.register(UnmappedItem)
class UnmappedItemAdmin(HouseAdmin):
    """The queue of offers that hold order lines until somebody says which SKU they are.

    Orders put their columns on the page "catalog.unmapped"; without the right to see orders there are none.
    """

    change_form_outer_before_template = "catalog/_who_maps.html"
    list_display = (
        "offer_ref",
        "title",
        "account",
        "state",
        "suggestion",
        "candidate_reason",
        "waiting",
        "first_seen_at",
    )
    list_filter = ("state", "account")
    search_fields = ("offer_ref", "seller_sku", "product_ref", "title")
    readonly_fields = _FACTS
    fields = (*_FACTS[:4], "sku", *_FACTS[4:])  # what is to be decided, beside what the offer is called
    autocomplete_fields = ("sku",)
    actions = ("map_to_suggestions", "ignore")
    ordering = ("-state", "first_seen_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Marketplaces tell which offers there are."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: UnmappedItem | None = None) -> bool:
        """An item leaves the queue by being mapped or ignored."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[UnmappedItem]:
        """With all that the columns show."""
        rows = super().get_queryset(request).select_related("account", "site", "sku", "candidate")
        for drawn in panels.draw(request, "catalog.unmapped"):
            rows = rows.annotate(**drawn.data["columns"])
        return rows

    def get_urls(self) -> list[URLPattern]:
        """One address more: the click on a suggestion."""
        one_click = path("<int:pk>/map/", self.admin_site.admin_view(self.map_view), name="catalog_unmappeditem_map")
        return [one_click, *super().get_urls()]

    @admin.display(description=_("SKU"))
    def suggestion(self, item: UnmappedItem) -> str:
        """The SKU it was mapped to, or a button that maps it to the suggested one."""
        if item.state != UnmappedItem.State.OPEN or item.candidate is None:
            return str(item.sku or "–")
        # The list is one form already, so the button sends it to the item's own address.
        return format_html(
            '<button type="submit" class="text-primary-600 underline" formmethod="post" formaction="{}">{}</button>',
            reverse("admin:catalog_unmappeditem_map", args=[item.pk]),
            _("map to %(sku)s") % {"sku": item.candidate.code},
        )

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Who may only look is told who maps."""
        context["who"] = who_may(request, "catalog.change_unmappeditem", _("Mapping an offer"))
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("first seen on"))
    def first_site(self, item: UnmappedItem) -> str:
        """The site, which is only where it was met first: an offer is mapped for all sites of its account."""
        if item.site is None:
            return "–"
        return _("%(site)s; mapping it holds for all sites of the account") % {"site": item.site}

    @admin.display(description=_("orders waiting"), ordering="waiting_orders")
    def waiting(self, item: UnmappedItem) -> str:
        """How many orders wait for it and how many of them have to leave, with the way to them."""
        count, to_leave = getattr(item, "waiting_orders", 0), getattr(item, "waiting_to_leave", 0)
        if not count:
            return "–"
        query = urlencode({"reason": "held", "account": item.account.code, "offer": item.offer_ref})
        told = ngettext("%(count)d order", "%(count)d orders", count) % {"count": count}
        if to_leave:
            told += " · " + _("%(count)d to leave") % {"count": to_leave}
        return format_html(
            '<a class="text-primary-600 underline" href="{}?{}">{}</a>', reverse("orders:stuck"), query, told
        )

    def map_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Map one item to its suggested SKU."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request):
            raise PermissionDenied
        item = get_object_or_404(self.get_queryset(request), pk=pk)
        if item.candidate is not None:
            self._map(request, item, item.candidate)
        back = request.POST.get("next", "")  # other pages have the button, too
        if not url_has_allowed_host_and_scheme(back, {request.get_host()}, require_https=request.is_secure()):
            back = reverse("admin:catalog_unmappeditem_changelist")
        return HttpResponseRedirect(back)

    @admin.action(description=_("Map to the suggested SKUs"), permissions=["change"])
    def map_to_suggestions(self, request: HttpRequest, queryset: QuerySet[UnmappedItem]) -> None:
        """Map the chosen items, each to its own suggestion."""
        for item in queryset.filter(state=UnmappedItem.State.OPEN).exclude(candidate=None):
            if item.candidate is not None:
                self._map(request, item, item.candidate)

    @admin.action(description=_("Ignore: none of our products"), permissions=["change"])
    def ignore(self, request: HttpRequest, queryset: QuerySet[UnmappedItem]) -> None:
        """Take the chosen items out of the queue for good."""
        for item in queryset.filter(state=UnmappedItem.State.OPEN):
            mapping.ignore_item(item, actor=str(request.user), now=timezone.now())

    def save_model(self, request: HttpRequest, obj: UnmappedItem, form: ModelForm[UnmappedItem], change: bool) -> None:
        """Saving the form with a SKU maps the item to it; nothing else can be edited."""
        if obj.sku is not None and "sku" in form.changed_data:
            self._map(request, obj, obj.sku)

    def response_change(self, request: HttpRequest, obj: UnmappedItem) -> HttpResponse:
        """Back to the queue; the mapping itself has told how it went."""
        return HttpResponseRedirect(reverse("admin:catalog_unmappeditem_changelist"))

    def _map(self, request: HttpRequest, item: UnmappedItem, sku: Sku) -> None:
        try:
            settled = mapping.map_item(item, sku=sku, actor=str(request.user), now=timezone.now())
        except DomventasError as error:
            messages.error(request, error.message)
            return
        done = ngettext("%(count)d offer is now %(sku)s.", "%(count)d offers are now %(sku)s.", settled)
        messages.success(request, done % {"count": settled, "sku": sku.code})
