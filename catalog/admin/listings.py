"""Our offers at the marketplaces: facts to follow; only the units per offer are ours to say."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from catalog.models import Listing
from domventas.core.admin import HouseAdmin
from domventas.core.links import to_list, to_raw, to_row

_FACTS = (
    "account", "site", "offer_ref", "sku_link", "seller_sku", "product_ref", "title", "category", "fulfillment",
    "status", "raw_status", "live_price", "currency", "live_quantity", "seen_at", "raw_link", "orders_link",
)  # fmt: skip


@admin.register(Listing)
class ListingAdmin(HouseAdmin):
    """Listings with their SKU, or without one yet."""

    list_display = (
        "offer_ref", "sku_link", "title", "account", "site", "fulfillment", "status", "live_price", "currency",
        "live_quantity", "seen_at",
    )  # fmt: skip
    list_filter = ("account", "site", "status", "fulfillment", ("sku", admin.EmptyFieldListFilter), "category")
    list_select_related = ("account", "site", "sku")
    search_fields = ("offer_ref", "seller_sku", "product_ref", "title", "sku__code")
    readonly_fields = _FACTS
    fields = (*_FACTS, "pack_factor")
    ordering = ("offer_ref", "site")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Marketplaces tell which offers there are."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Listing | None = None) -> bool:
        """Facts are not deleted."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Listing]:
        """With all that the columns show."""
        return super().get_queryset(request).select_related("account", "site", "sku")

    @admin.display(description=_("SKU"), ordering="sku__code")
    def sku_link(self, listing: Listing) -> str:
        """Its SKU."""
        return to_row(listing.sku)

    @admin.display(description=_("sold"))
    def orders_link(self, listing: Listing) -> str:
        """Orders of this offer."""
        return to_list("orders.order", _("orders"), lines__listing__id__exact=listing.pk)

    @admin.display(description=_("raw document"))
    def raw_link(self, listing: Listing) -> str:
        """What the marketplace said."""
        return to_raw(listing.raw_id, _("raw document"))
