"""The admin's base classes, its navigation by job to be done, and the switch between clients."""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from domventas.core import tenancy
from domventas.core.columns import Column, readable
from domventas.core.models import CalendarDay, ClientModel, Membership, Threshold

M = TypeVar("M", bound=models.Model)

admin.site.unregister(Group)  # rights come from memberships


class Unlogged:
    """Django's log keeps all clients' object names in one table without a wall; the audit trail is the log."""

    def log_addition(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: see AuditEntry."""

    def log_change(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: see AuditEntry."""

    def log_deletions(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: see AuditEntry."""


class ClientForm(forms.ModelForm):  # type: ignore[type-arg]  # one form for every model
    """A form that also checks unique keys holding the client, which is no field of the form."""

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"client"}  # type: ignore[misc]  # else an error page, not a message


class HouseAdmin(Unlogged, ModelAdmin):
    """What every list of ours shares: no counting of big tables, fifty rows, no long columns."""

    form = ClientForm
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    list_fullwidth = True

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """An operator outside every client finds nothing of a client's; Django looks before it asks for rights."""
        if issubclass(self.model, ClientModel) and tenancy.current_or_none() is None:
            return None
        return super().get_object(request, object_id, from_field)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Nothing secret can be guessed letter by letter through the address, though it is shown nowhere."""
        return not _asks_secrets(self.model, lookup) and super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> list[Column]:
        """The declared columns, with money and codes as people read them."""
        return readable(self.model, super().get_list_display(request))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        """The columns that lead to the row, as they stand in the list."""
        links = super().get_list_display_links(request, list_display)
        return links and readable(self.model, links)


def _asks_secrets(model: type[models.Model], lookup: str) -> bool:
    """Whether a lookup passes through an encrypted column, or through the people's table to their passwords."""
    at: Any = model
    for step in lookup.split("__"):
        try:
            field = at._meta.get_field(step)
        except FieldDoesNotExist:
            return False  # a transform or a kind of comparison; the columns before it were fine
        if getattr(field, "encrypted", False) or step == "password":
            return True
        if not field.is_relation:
            return False
        at = field.related_model
    return False


class FactsAdmin(HouseAdmin):
    """Facts a marketplace told us: to read and to follow, never to edit here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds facts by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody edits facts."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody deletes facts."""
        return False


class FactsInline(TabularInline):
    """Facts beneath other facts, at most fifty."""

    form = ClientForm
    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = True
    per_page = 50

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody adds facts by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Nobody edits facts."""
        return False


def stylesheet(request: HttpRequest) -> str:
    """Our own stylesheet beside unfold's."""
    return static("css/bo.css")


def zone_label(request: HttpRequest) -> list[Any]:
    """Names the zone of the times on the admin's pages, in the place unfold has for a note about all of them."""
    client = getattr(request, "client", None)
    return [_("Times in %(zone)s") % {"zone": client.zone}, "default"] if client else []


def favicon(request: HttpRequest) -> str:
    """The house's sign in the browser's tab."""
    return static("favicon.svg")


def client_links(request: HttpRequest) -> list[dict[str, str]]:
    """Entries of the switch between the clients this person works for."""
    if not request.user.is_authenticated:
        return []
    rows = Membership.objects.filter(user=request.user, client__active=True).select_related("client")
    return [{"title": row.client.name, "link": f"/c/{row.client.slug}/"} for row in rows]


NAVIGATION: list[tuple[Any, list[tuple[Any, str, str, str]]]] = [
    (_("Today"), [(_("Today"), "reports:today", "today", "")]),
    (
        _("Sell"),
        [
            (_("Orders"), "admin:orders_order_changelist", "receipt_long", "orders.view_order"),
            (_("Stuck orders"), "orders:stuck", "running_with_errors", "orders.view_order"),
            (_("Shipments"), "admin:orders_shipment_changelist", "local_shipping", "orders.view_shipment"),
            (_("Listings"), "admin:catalog_listing_changelist", "sell", "catalog.view_listing"),
            (_("Unmapped items"), "admin:catalog_unmappeditem_changelist", "link_off", "catalog.view_unmappeditem"),
            (_("Products"), "admin:catalog_product_changelist", "inventory_2", "catalog.view_product"),
            (_("SKUs"), "admin:catalog_sku_changelist", "barcode", "catalog.view_sku"),
        ],
    ),
    (
        _("Money"),
        [
            (_("Are we paid?"), "finance:are_we_paid", "payments", "finance.view_settlement"),
            (_("Reconciliation"), "finance:settlements", "balance", "finance.view_settlement"),
            (_("Statement files"), "finance:statement_files", "upload_file", "finance.view_statementfile"),
            (_("Discrepancies"), "admin:finance_discrepancy_changelist", "report", "finance.view_discrepancy"),
            (_("Fee rules"), "admin:finance_feerule_changelist", "rule", "finance.view_feerule"),
            (_("Costs"), "admin:finance_skucost_changelist", "price_change", "finance.view_skucost"),
        ],
    ),
    (
        _("Operate"),
        [
            (_("Tickets"), "tickets:board", "confirmation_number", "tickets.view_ticket"),
            (_("Findings"), "admin:tickets_finding_changelist", "search_insights", "tickets.view_finding"),
        ],
    ),
    (
        _("System"),
        [
            (_("Integration monitor"), "marketplaces:monitor", "monitor_heart", "marketplaces.view_stream"),
            (_("Connect an account"), "marketplaces:connect", "add_link", "marketplaces.add_account"),
            (_("Writing back"), "marketplaces:pushes", "outbox", "marketplaces.view_pushflow"),
            (_("Accounts"), "admin:marketplaces_account_changelist", "key", "marketplaces.view_account"),
            (_("Inlets"), "admin:marketplaces_inlet_changelist", "webhook", "marketplaces.view_inlet"),
            (_("Events"), "admin:marketplaces_inboundevent_changelist", "bolt", "marketplaces.view_inboundevent"),
            (
                _("Quarantine"),
                "admin:marketplaces_quarantined_changelist",
                "gpp_maybe",
                "marketplaces.view_quarantined",
            ),
            (_("People"), "admin:core_membership_changelist", "group", "core.view_membership"),
            (_("API tokens"), "admin:core_apitoken_changelist", "vpn_key", "core.view_apitoken"),
            (_("Task runs"), "admin:core_taskrun_changelist", "schedule", "core.view_taskrun"),
            (_("Limits"), "admin:core_threshold_changelist", "tune", "core.view_threshold"),
            (_("Calendar"), "admin:core_calendarday_changelist", "event_busy", "core.view_calendarday"),
            (_("Audit"), "admin:core_auditentry_changelist", "history", "core.view_auditentry"),
        ],
    ),
]
"""Heading → (label, route, symbol, right without which it is not shown)."""


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The side bar by job to be done; only what this person may open."""
    sections: list[dict[str, Any]] = []
    for title, entries in NAVIGATION:
        items = [
            {"title": label, "link": link, "icon": symbol, "active": _is_open(request, link)}
            for label, route, symbol, right in entries
            if (not right or request.user.has_perm(right)) and (link := _link(route))
        ]
        if items:
            sections.append({"title": title, "separator": bool(sections), "items": items})
    return sections


def _is_open(request: HttpRequest, link: str) -> bool:
    """Whether the page belongs to the entry; the first page's address is the beginning of every other."""
    return request.path == link or (link != reverse("reports:today") and request.path.startswith(link))


def _link(route: str) -> str:
    try:
        return reverse(route)
    except NoReverseMatch:
        return ""


@admin.register(Threshold)
class ThresholdAdmin(HouseAdmin):
    """Limits of this client that differ from the defaults."""

    list_display = ("code", "scope_kind", "scope_ref", "value")
    search_fields = ("code",)


@admin.register(CalendarDay)
class CalendarDayAdmin(HouseAdmin):
    """Days on which a client works otherwise than the country's calendar says."""

    list_display = ("day", "country", "is_worked", "note")
    list_filter = ("country", "is_worked")
    date_hierarchy = "day"


# Their pages stand on the classes above.
from domventas.core import audit_admin, operator_admin, people_admin  # noqa: E402, F401
from domventas.core.api import admin as api_admin  # noqa: E402, F401
from domventas.core.jobs import admin as jobs_admin  # noqa: E402, F401
