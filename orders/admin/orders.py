"""One order: its lines, charges, refunds, oddities and events, and the raw document it came in."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin, FactsInline
from domventas.core.links import to_raw, to_row
from domventas.core.money import to_cents
from domventas.core.templatetags.figures import money, spoken
from marketplaces.records import LineStatus
from orders.models import Order, OrderCharge, OrderEvent, OrderException, OrderLine
from orders.selectors import detail, stuck
from orders.services import exceptions


class StuckFilter(admin.SimpleListFilter):
    """Orders in which something has to be done."""

    title = _("stuck")
    parameter_name = "stuck"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Why an order is stuck."""
        return [(name, str(label)) for name, label in stuck.Reason.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Orders stuck for that reason."""
        return stuck.Stuck(now=timezone.now()).narrowed(queryset, self.value())


class StatusFilter(admin.SimpleListFilter):
    """Where the order stands."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """All statuses."""
        return [(status.value, status.value.replace("_", " ")) for status in LineStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        """Orders in that status."""
        return queryset.filter(status=self.value()) if self.value() else queryset


class LineInline(FactsInline):
    """The ordered positions with their charges."""

    model = OrderLine
    fields = (
        "external_id", "sku_link", "title", "quantity", "quantity_shipped", "quantity_canceled", "status", "hold",
        "shipped_at", "delivered_at", "amounts",
    )  # fmt: skip
    readonly_fields = fields
    ordering = ("external_id",)
    show_change_link = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        """With SKU and charges, in three queries."""
        return super().get_queryset(request).select_related("sku").prefetch_related("charges")

    @admin.display(description=_("SKU"))
    def sku_link(self, line: OrderLine) -> str:
        """Its SKU."""
        return to_row(line.sku)

    @admin.display(description=_("charges"))
    def amounts(self, line: OrderLine) -> str:
        """What the order itself states, signed as seen by us."""
        rows = sorted(line.charges.all(), key=lambda charge: (charge.event != "sale", charge.refund_ref, charge.kind))
        return format_html_join("", "<div>{}</div>", ((_shown(charge),) for charge in rows))


class ExceptionInline(FactsInline):
    """What is odd about it."""

    model = OrderException
    fields = ("code", "detail", "seen_at", "resolved_at", "resolved_by")
    readonly_fields = fields
    ordering = ("code",)
    show_change_link = False


class EventInline(FactsInline):
    """What became of it."""

    model = OrderEvent
    fields = ("at", "line_external_id", "what", "before", "after", "actor")
    readonly_fields = fields
    ordering = ("-at", "-pk")
    show_change_link = False
    tab = True


@admin.register(Order)
class OrderAdmin(FactsAdmin):
    """Orders of all marketplaces."""

    list_display = (
        "external_id", "page_link", "account", "site", "ordered_at", "status_told", "fulfillment", "stated", "computed",
        "ship_by",
    )  # fmt: skip
    list_filter = (StuckFilter, "account", "site", StatusFilter, "fulfillment", "is_business")
    list_select_related = ("account", "site")
    search_fields = ("external_id", "alias", "lines__external_id", "lines__seller_sku", "lines__sku__code")
    fields = (
        "external_id", "alias", "account", "site", "status", "fulfillment", "is_business", "currency", "stated_total",
        "computed_total", "ordered_at", "source_updated_at", "ship_by", "buyer", "raw_link", "page_link",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (LineInline, ExceptionInline, EventInline)
    actions = ("resolve_exceptions",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Also the filters by which neighbors link here."""
        return lookup in _LINKED or super().lookup_allowed(lookup, value, request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        """Each order once, also when a neighbor's link filters by its lines."""
        return super().get_queryset(request).select_related("account", "site")

    @admin.display(description=_("buyer"))
    def buyer(self, order: Order) -> str:
        """Masked: enough to recognize, not enough to know."""
        return detail.masked_buyer(order)

    @admin.display(description=_("raw document"))
    def raw_link(self, order: Order) -> str:
        """What the marketplace said."""
        return to_raw(order.raw_id, _("raw document"))

    @admin.display(description=_("status"), ordering="status")
    def status_told(self, order: Order) -> str:
        """The status in words."""
        return spoken(order.status)

    @admin.display(description=_("total as stated"), ordering="stated_total")
    def stated(self, order: Order) -> str:
        """What the marketplace says the order is worth, in the order's currency."""
        return money(order.stated_total, order.currency)

    @admin.display(description=_("total of its lines"), ordering="computed_total")
    def computed(self, order: Order) -> str:
        """What its lines come to, in the order's currency."""
        return money(order.computed_total, order.currency)

    @admin.display(description=_("page"))
    def page_link(self, order: Order) -> str:
        """The order with its money and tickets."""
        return format_html('<a href="{}">{}</a>', reverse("orders:order", args=[order.pk]), _("open"))

    @admin.action(description=_("Mark what is odd as seen to"), permissions=["resolve"])
    def resolve_exceptions(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Close the open oddities of the chosen orders."""
        exceptions.resolve(queryset, actor=str(request.user), now=timezone.now())

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        """Who may change orders, though the facts themselves are nobody's to change."""
        return request.user.has_perm("orders.change_orderexception")


#: Filters that other pages link with.
_LINKED = {
    "lines__sku__id__exact", "lines__listing__id__exact", "lines__offer_ref", "lines__hold", "account__id__exact",
    "account__code",
}  # fmt: skip


def _shown(charge: OrderCharge) -> str:
    refund = "" if charge.event == "sale" else f"{charge.event} {charge.refund_ref}: "
    return f"{refund}{charge.kind.replace('_', ' ')} {to_cents(charge.amount, charge.currency)} {charge.currency}"
