"""Brands, products, SKUs and identifiers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from catalog.models import Brand, Identifier, Listing, Product, Sku
from catalog.services import products
from domventas.core.admin import ClientForm, FactsInline, HouseAdmin
from domventas.core.links import to_list


class SkuInline(TabularInline):
    """The SKUs of a product."""

    model = Sku
    form = ClientForm
    extra = 0
    fields = ("code", "name", "status", "weight_g")
    show_change_link = True


class IdentifierInline(TabularInline):
    """The ids by which others know a SKU."""

    model = Identifier
    form = ClientForm
    extra = 0
    fields = ("kind", "channel", "value")
    ordering = ("kind", "channel", "value")


class ListingInline(FactsInline):
    """Where a SKU is offered."""

    model = Listing
    fields = ("account", "site", "offer_ref", "status", "live_price", "currency", "live_quantity")
    readonly_fields = fields
    ordering = ("account", "site", "offer_ref")
    tab = True


@admin.register(Brand)
class BrandAdmin(HouseAdmin):
    """Brands."""

    list_display = ("name", "code", "products_link")
    search_fields = ("name", "code")

    @admin.display(description=_("products"))
    def products_link(self, brand: Brand) -> str:
        """Its products."""
        return to_list(Product, _("products"), brand__id__exact=brand.pk)


@admin.register(Product)
class ProductAdmin(HouseAdmin):
    """Products with their SKUs."""

    list_display = ("code", "title", "brand", "category")
    list_filter = ("brand", "category")
    list_select_related = ("brand",)
    search_fields = ("code", "title", "skus__code")
    autocomplete_fields = ("brand",)
    inlines = (SkuInline,)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """What its SKUs sold is judged by the new categories and weights."""
        super().save_related(request, form, formsets, change)
        if change:
            products.corrected(form.instance.skus.values_list("pk", flat=True), now=clock())


@admin.register(Sku)
class SkuAdmin(HouseAdmin):
    """SKUs with their identifiers and listings."""

    list_display = ("code", "name", "product", "status", "weight_g", "lines_link")
    list_filter = ("status", "product__brand", "product__category")
    list_select_related = ("product",)
    search_fields = ("code", "name", "identifiers__value")
    autocomplete_fields = ("product",)
    inlines = (IdentifierInline, ListingInline)

    def save_model(self, request: HttpRequest, obj: Sku, form: Any, change: bool) -> None:
        """What it sold is judged by the new weight, and by the categories of its product."""
        super().save_model(request, obj, form, change)
        if change and {"weight_g", "product"} & set(form.changed_data):
            products.corrected([obj.pk], now=clock())

    @admin.display(description=_("orders"))
    def lines_link(self, sku: Sku) -> str:
        """The orders it was sold in."""
        return to_list("orders.order", _("orders"), lines__sku__id__exact=sku.pk)


@admin.register(Identifier)
class IdentifierAdmin(HouseAdmin):
    """All ids in one list, to find out what a number is."""

    list_display = ("value", "kind", "channel", "sku")
    list_filter = ("kind", "channel")
    list_select_related = ("sku",)
    search_fields = ("value", "sku__code")
    autocomplete_fields = ("sku",)
