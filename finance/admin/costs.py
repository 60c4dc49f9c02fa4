"""Costs of a unit and exchange rates: the client's own to edit, published rates to read."""

from __future__ import annotations

from django.contrib import admin

from domventas.core.admin import FactsAdmin, HouseAdmin
from finance.models import ExchangeRate, ReferenceRate, SkuCost


@admin.register(SkuCost)
class SkuCostAdmin(HouseAdmin):
    """Price-list cost of a unit by SKU, warehouse, vendor and time."""

    list_display = (
        "sku",
        "warehouse",
        "vendor",
        "currency",
        "purchase",
        "shipping",
        "customs",
        "insurance",
        "additional",
        "valid",
        "source",
    )
    list_filter = ("currency", "warehouse")
    search_fields = ("sku__code", "vendor", "source")
    list_select_related = ("sku",)
    autocomplete_fields = ("sku",)
    ordering = ("sku__code", "warehouse", "valid")


@admin.register(ExchangeRate)
class ExchangeRateAdmin(HouseAdmin):
    """The client's own rates; they win over the published ones."""

    list_display = ("day", "currency", "rate", "purpose", "source")
    list_filter = ("currency", "purpose")
    ordering = ("-day", "currency")


@admin.register(ReferenceRate)
class ReferenceRateAdmin(FactsAdmin):
    """Published rates, the same for all clients."""

    list_display = ("day", "currency", "rate", "purpose", "source", "is_derived")
    list_filter = ("currency", "purpose")
    ordering = ("-day", "currency")
