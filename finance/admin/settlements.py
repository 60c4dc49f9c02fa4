"""Settlements, their lines, booked money and transfers: what the marketplaces told us, to read and to follow."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin
from finance.admin.links import link, order, raw_document
from finance.models import Payout, Settlement, SettlementLine, Transaction


@admin.register(Settlement)
class SettlementAdmin(FactsAdmin):
    """Statements of the marketplaces and whether their lines agree with the header."""

    list_display = (
        "settlement_ref",
        "account",
        "status",
        "currency",
        "period_start",
        "period_end",
        "header_total",
        "difference",
        "line_count",
        "revision",
        "paid_on",
        "lines",
    )
    list_filter = ("status", "account", "currency", "source")
    search_fields = ("settlement_ref",)
    list_select_related = ("account",)
    date_hierarchy = "period_end"
    readonly_fields = ("lines", "workbench", "document")
    exclude = ("raw_id",)

    @admin.display(description=_("lines"))
    def lines(self, settlement: Settlement) -> SafeString | str:
        """To the settlement's lines."""
        query = {"settlement__id__exact": settlement.pk}
        return link(settlement.line_count, "admin:finance_settlementline_changelist", query=query)

    @admin.display(description=_("workbench"))
    def workbench(self, settlement: Settlement) -> SafeString | str:
        """To the page where expected stands beside paid."""
        return link(_("open"), "finance:settlement", settlement.pk)

    @admin.display(description=_("raw document"))
    def document(self, settlement: Settlement) -> SafeString | str:
        """To the marketplace's own bytes."""
        return raw_document(settlement.raw_id)


@admin.register(SettlementLine)
class SettlementLineAdmin(FactsAdmin):
    """Money lines, each in one of the four states."""

    list_display = (
        "settlement",
        "ordinal",
        "posted_at",
        "event",
        "kind",
        "amount",
        "currency",
        "state",
        "cause",
        "order_number",
        "raw_type",
    )
    list_filter = ("state", "cause", "kind", "event", "currency")
    search_fields = ("=order_ref", "=settlement_ref", "=seller_sku")
    list_select_related = ("settlement",)
    ordering = ("-settlement_id", "ordinal")
    readonly_fields = ("order_number", "document")
    exclude = ("raw_id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SettlementLine]:
        """Without the long texts the list does not show."""
        return super().get_queryset(request).defer("description")

    @admin.display(description=_("order"))
    def order_number(self, line: SettlementLine) -> SafeString | str:
        """To the order the line names."""
        return order(line.account_id, line.order_ref)

    @admin.display(description=_("raw document"))
    def document(self, line: SettlementLine) -> SafeString | str:
        """To the document the line stands in."""
        return raw_document(line.raw_id)


@admin.register(Transaction)
class TransactionAdmin(FactsAdmin):
    """Money booked by a marketplace: deferred, released or settled."""

    list_display = (
        "external_id",
        "account",
        "state",
        "event",
        "amount",
        "currency",
        "posted_at",
        "release_at",
        "reason",
        "order_number",
        "settlement_ref",
    )
    list_filter = ("state", "event", "account", "currency")
    search_fields = ("=external_id", "=order_ref", "=settlement_ref")
    list_select_related = ("account",)
    ordering = ("-id",)
    readonly_fields = ("order_number", "document")
    exclude = ("raw_id",)

    @admin.display(description=_("order"))
    def order_number(self, row: Transaction) -> SafeString | str:
        """To the order it is about."""
        return order(row.account_id, row.order_ref)

    @admin.display(description=_("raw document"))
    def document(self, row: Transaction) -> SafeString | str:
        """To the marketplace's own bytes."""
        return raw_document(row.raw_id)


@admin.register(Payout)
class PayoutAdmin(FactsAdmin):
    """Transfers to the bank."""

    list_display = ("external_id", "account", "amount", "currency", "state", "paid_on", "reference", "settlement_ref")
    list_filter = ("state", "account", "currency")
    search_fields = ("=external_id", "=settlement_ref", "=reference")
    list_select_related = ("account",)
    ordering = ("-paid_on", "-id")
