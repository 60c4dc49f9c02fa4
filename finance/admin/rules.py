"""Our dated rules: what a line means, what a fee should be, what a refund gives back, when money is due.

A shipped row that staff changes becomes staff's own, so that no release overwrites it.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import Form
from django.http import HttpRequest

from domventas.core.admin import HouseAdmin
from finance.models import FeeKindMap, FeeRule, PaymentTerm, RefundRule, Tolerance
from finance.models.rules import Origin
from finance.services.settlement_lines import reclassify


class RuleAdmin(HouseAdmin):
    """What all rules share: who wrote them is shown, not entered."""

    readonly_fields = ("origin",)

    def save_model(self, request: HttpRequest, obj: Any, form: Form, change: bool) -> None:
        """A row that a person saves is that person's."""
        if not change or form.has_changed():
            obj.origin = Origin.STAFF
        super().save_model(request, obj, form, change)


@admin.register(FeeKindMap)
class FeeKindMapAdmin(RuleAdmin):
    """What the marketplaces' own words mean."""

    list_display = ("pattern", "channel", "event", "kind", "sign", "origin", "note")
    list_filter = ("channel", "origin", "event", "kind")
    search_fields = ("pattern", "note")
    ordering = ("channel", "pattern")

    def save_model(self, request: HttpRequest, obj: Any, form: Form, change: bool) -> None:
        """Lines that waited for this meaning get it at once."""
        super().save_model(request, obj, form, change)
        reclassify(obj.channel)


@admin.register(FeeRule)
class FeeRuleAdmin(RuleAdmin):
    """What a marketplace may charge, and since when."""

    list_display = (
        "site",
        "kind",
        "category",
        "fulfillment",
        "rate",
        "fixed_amount",
        "min_amount",
        "currency",
        "price_band",
        "weight_band",
        "valid",
        "origin",
    )
    list_filter = ("site", "kind", "fulfillment", "origin")
    search_fields = ("site", "category", "source")
    ordering = ("site", "kind", "category", "weight_band", "price_band", "valid")


@admin.register(RefundRule)
class RefundRuleAdmin(RuleAdmin):
    """What a refund gives back of a fee."""

    list_display = (
        "site",
        "kind",
        "share_returned",
        "retained_kind",
        "retained_rate",
        "retained_cap",
        "currency",
        "valid",
        "origin",
    )
    list_filter = ("site", "kind", "origin")
    ordering = ("site", "kind", "valid")


@admin.register(PaymentTerm)
class PaymentTermAdmin(RuleAdmin):
    """When money for a sale is due."""

    list_display = (
        "site",
        "basis",
        "release_days",
        "cycle_days",
        "grace_days",
        "transit_days",
        "valid",
        "origin",
    )
    list_filter = ("site", "origin")
    ordering = ("site", "valid")


@admin.register(Tolerance)
class ToleranceAdmin(RuleAdmin):
    """How far paid may be from expected."""

    list_display = ("site", "kind", "currency", "absolute_amount", "share_of_fee", "valid", "origin")
    list_filter = ("site", "kind", "origin")
    ordering = ("site", "kind", "valid")
