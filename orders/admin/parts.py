"""The parts of orders in lists of their own: every line, charge, refund, event and oddity."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin
from domventas.core.links import to_row
from orders.models import OrderCharge, OrderEvent, OrderException, OrderLine, OrderRefund


@admin.register(OrderLine)
class OrderLineAdmin(FactsAdmin):
    """Ordered positions of all orders."""

    list_display = (
        "external_id", "order_link", "sku_link", "title", "quantity", "status", "hold", "shipped_at", "delivered_at",
    )  # fmt: skip
    list_filter = ("hold", "order__account", "status", "category")
    list_select_related = ("order", "sku")
    search_fields = ("external_id", "order__external_id", "seller_sku", "sku__code")
    ordering = ("-pk",)

    @admin.display(description=_("order"))
    def order_link(self, line: OrderLine) -> str:
        """Its order."""
        return to_row(line.order)

    @admin.display(description=_("SKU"))
    def sku_link(self, line: OrderLine) -> str:
        """Its SKU."""
        return to_row(line.sku)


@admin.register(OrderCharge)
class OrderChargeAdmin(FactsAdmin):
    """What orders themselves state, amount by amount, signed as seen by us."""

    list_display = ("line_link", "event", "refund_ref", "kind", "amount", "currency")
    list_display_links = ("kind",)
    list_filter = ("event", "kind", "currency")
    list_select_related = ("line__order",)
    search_fields = ("line__order__external_id", "line__external_id")
    ordering = ("-pk",)

    @admin.display(description=_("line"))
    def line_link(self, charge: OrderCharge) -> str:
        """Its order, named with its line."""
        return to_row(charge.line.order, f"{charge.line.order.external_id} / {charge.line.external_id}")


@admin.register(OrderRefund)
class OrderRefundAdmin(FactsAdmin):
    """Money given back, as the orders state it."""

    list_display = ("external_id", "order_link", "refunded_at", "quantity", "reason")
    list_select_related = ("line__order",)
    search_fields = ("external_id", "line__order__external_id")
    ordering = ("-pk",)

    @admin.display(description=_("order"))
    def order_link(self, refund: OrderRefund) -> str:
        """Its order."""
        return to_row(refund.line.order)


@admin.register(OrderException)
class OrderExceptionAdmin(FactsAdmin):
    """What is odd about orders, open ones first."""

    list_display = ("order_link", "code", "detail", "seen_at", "resolved_at", "resolved_by")
    list_display_links = ("code",)
    list_filter = ("code", ("resolved_at", admin.EmptyFieldListFilter))
    list_select_related = ("order",)
    search_fields = ("order__external_id", "detail")
    ordering = ("-seen_at", "-pk")

    @admin.display(description=_("order"))
    def order_link(self, odd: OrderException) -> str:
        """Its order."""
        return to_row(odd.order)


@admin.register(OrderEvent)
class OrderEventAdmin(FactsAdmin):
    """What became of orders, the newest first."""

    list_display = ("at", "order_link", "line_external_id", "what", "before", "after", "actor")
    list_filter = ("what",)
    list_select_related = ("order",)
    search_fields = ("order__external_id", "line_external_id")
    ordering = ("-at", "-pk")

    @admin.display(description=_("order"))
    def order_link(self, event: OrderEvent) -> str:
        """Its order."""
        return to_row(event.order)
