"""Expected beside paid, receivables and findings, to read; findings can be accepted, claimed and reopened."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.admin import FactsAdmin
from finance.admin.links import link, order
from finance.models import Discrepancy, ExpectedCharge, LineReconciliation, Receivable, RuleGap
from finance.services import discrepancies


@admin.register(Discrepancy)
class DiscrepancyAdmin(FactsAdmin):
    """What is wrong with money, by cause and group."""

    list_display = (
        "cause", "account", "site", "order", "line_ref", "kind", "event", "expected", "actual", "amount", "currency",
        "happened_on", "state", "settlement_link",
    )  # fmt: skip
    list_filter = ("state", "cause", "account", "site", "kind", "currency")
    search_fields = ("order_ref", "line_ref", "seller_sku", "group_key")
    list_select_related = ("account", "settlement")
    date_hierarchy = "happened_on"
    ordering = ("-happened_on", "pk")
    actions = ("accept", "reopen")

    @admin.display(description=_("order"))
    def order(self, row: Discrepancy) -> SafeString | str:
        """To the order."""
        return order(row.account_id, row.order_ref)

    @admin.display(description=_("settlement"))
    def settlement_link(self, row: Discrepancy) -> SafeString | str:
        """To the statement that shows it."""
        if row.settlement is None:
            return "–"
        return link(row.settlement.settlement_ref, "admin:finance_settlement_change", row.settlement_id)

    @admin.action(description=_("Accept as it is"), permissions=["decide"])
    def accept(self, request: HttpRequest, rows: QuerySet[Discrepancy]) -> None:
        """Live with them; each keeps who said so."""
        ids = list(rows.values_list("pk", flat=True))
        who = str(request.user)
        done = discrepancies.accept(ids, until=None, note=str(_("Accepted in the list.")), by=who, now=now())
        self._tell(request, done)

    @admin.action(description=_("Open again"), permissions=["decide"])
    def reopen(self, request: HttpRequest, rows: QuerySet[Discrepancy]) -> None:
        """Take the decision back."""
        self._tell(request, discrepancies.reopen(list(rows.values_list("pk", flat=True)), by=str(request.user)))

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """Those who may change finance's records may decide about findings."""
        return bool(request.user.has_perm("finance.change_discrepancy"))

    def _tell(self, request: HttpRequest, done: int) -> None:
        text = ngettext("%(count)s finding decided.", "%(count)s findings decided.", done) % {"count": done}
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Receivable)
class ReceivableAdmin(FactsAdmin):
    """What each shipped line still brings, and when."""

    list_display = (
        "line", "currency", "shipped_value", "expected_net", "paid", "open", "state", "reason", "shipped_on",
        "release_on", "due_on", "settled_on",
    )  # fmt: skip
    list_filter = ("state", "currency", "reason")
    search_fields = ("line__external_id", "line__order__external_id")
    list_select_related = ("line",)
    date_hierarchy = "shipped_on"
    ordering = ("-due_on", "pk")


@admin.register(LineReconciliation)
class LineReconciliationAdmin(FactsAdmin):
    """Verdicts by order line, event and kind."""

    list_display = ("line", "event", "kind", "expected", "actual", "difference", "currency", "verdict", "cause")
    list_filter = ("verdict", "cause", "event", "kind", "currency")
    search_fields = ("line__external_id", "line__order__external_id")
    list_select_related = ("line",)
    ordering = ("-pk",)


@admin.register(ExpectedCharge)
class ExpectedChargeAdmin(FactsAdmin):
    """What is expected, and how that was computed."""

    list_display = ("line", "event", "kind", "amount", "tax_amount", "currency", "basis", "formula")
    list_filter = ("basis", "event", "kind", "currency")
    search_fields = ("line__external_id", "line__order__external_id")
    list_select_related = ("line",)
    ordering = ("-pk",)


@admin.register(RuleGap)
class RuleGapAdmin(FactsAdmin):
    """Combinations no rule covers, by the money they keep from being judged."""

    list_display = (
        "site", "kind", "category", "fulfillment", "currency", "line_count", "blocked_amount", "first_on", "last_on",
    )  # fmt: skip
    list_filter = ("site", "kind")
    search_fields = ("category",)
    ordering = ("-blocked_amount",)
