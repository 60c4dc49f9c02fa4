"""Shipments in the admin: what has left us, what the marketplaces made of it, and where parcels start."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.admin import FactsAdmin, FactsInline, HouseAdmin
from marketplaces.services import outbox
from orders.models import ShipFrom, Shipment, ShipmentLine
from orders.selectors import shipments


class StateFilter(admin.SimpleListFilter):
    """What the marketplace made of it."""

    title = _("confirmation")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """All states of a confirmation."""
        return [(state or "none", str(words)) for state, (words, _look) in shipments.STATES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Shipments whose confirmation stands so."""
        value = self.value()
        return queryset.filter(state="" if value == "none" else value) if value else queryset


class PiecesInline(FactsInline):
    """What is in it."""

    model = ShipmentLine
    fields = ("line", "quantity")
    readonly_fields = fields
    ordering = ("pk",)
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ShipmentLine]:
        """With the order lines."""
        return super().get_queryset(request).select_related("line")


@admin.register(Shipment)
class ShipmentAdmin(FactsAdmin):
    """Parcels that have left us, the newest first."""

    list_display = (
        "order_link", "number", "account", "carrier", "tracking_number", "pieces", "shipped_at", "state_told", "told",
        "created_by",
    )  # fmt: skip
    list_display_links = ("number",)
    list_filter = (StateFilter, "order__account", "carrier")
    search_fields = ("order__external_id", "tracking_number", "lines__line__sku__code")
    fields = (
        "order_link", "number", "carrier", "tracking_number", "return_carrier", "return_tracking", "shipped_at",
        "state_told", "told", "provider_ref", "created_at", "created_by",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (PiecesInline,)
    actions = ("look_again",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the state of the confirmation."""
        return shipments.listed()

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Those who ship."""
        return bool(request.user.has_perm("orders.change_shipment"))

    @admin.display(description=_("order"))
    def order_link(self, shipment: Shipment) -> str:
        """Its order."""
        url = reverse("orders:order", args=[shipment.order_id])
        return format_html('<a href="{}">{}</a>', url, shipment.order.external_id)

    @admin.display(description=_("account"))
    def account(self, shipment: Shipment) -> str:
        """Where it was sold."""
        return str(shipment.order.account)

    @admin.display(description=_("pieces"))
    def pieces(self, shipment: Any) -> int:
        """How many pieces are in it."""
        return int(shipment.pieces or 0)

    @admin.display(description=_("confirmation"))
    def state_told(self, shipment: Any) -> str:
        """What became of telling it, in words."""
        return str(shipments.STATES[shipment.state][0])

    @admin.display(description=_("what they said"))
    def told(self, shipment: Any) -> str:
        """The marketplace's words."""
        return shipment.told or "–"

    @admin.display(description=_("their number"))
    def provider_ref(self, shipment: Any) -> str:
        """The marketplace's own number of it."""
        return shipment.provider_ref or "–"

    @admin.action(description=_("Send again after checking"), permissions=["steer"])
    def look_again(self, request: HttpRequest, queryset: QuerySet[Shipment]) -> None:
        """Ask the marketplace whether it has them, and tell only those it has not."""
        count = outbox.look_again(shipments.commands(queryset), now=clock())
        words = ngettext("%(count)d is looked up.", "%(count)d are looked up.", count) % {"count": count}
        messages.add_message(request, messages.SUCCESS if count else messages.WARNING, words)


@admin.register(ShipmentLine)
class ShipmentLineAdmin(FactsAdmin):
    """Pieces in parcels."""

    list_display = ("shipment", "line", "quantity")
    list_select_related = ("shipment__order", "line")
    search_fields = ("shipment__order__external_id", "line__external_id")
    ordering = ("-pk",)


@admin.register(ShipFrom)
class ShipFromAdmin(HouseAdmin):
    """Where the parcels of each account start."""

    list_display = ("account", "city", "postal_code", "country")
    list_select_related = ("account",)
    ordering = ("account__code",)
