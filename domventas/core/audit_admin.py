"""The audit for auditors: every change in words, by whom, in which request, and the seals that hold it."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter

from domventas.core.admin import FactsAdmin
from domventas.core.audit import words
from domventas.core.models import AuditAnchor, AuditEntry, AuditSeal, PiiAccess

#: Columns of a change shown in the list; the entry's own page shows all.
IN_LIST: Final = 4
#: Other changes of a request shown beside an entry.
TOGETHER: Final = 50


class TableFilter(admin.SimpleListFilter):
    """What kind of row was changed."""

    title = _("what")
    parameter_name = "table"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Every table that is written down."""
        return words.audited_tables()

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Changes of that table."""
        return queryset.filter(table=self.value()) if self.value() else queryset


class KindFilter(admin.SimpleListFilter):
    """What was done."""

    title = _("done")
    parameter_name = "done"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, Any]]:
        """Made, changed, removed, erased."""
        return [("made", _("made")), ("changed", _("changed")), ("removed", _("removed")), ("erased", _("erased"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Entries of that kind."""
        own = AuditEntry._meta.db_table
        match self.value():
            case "made":
                return queryset.filter(before__isnull=True).exclude(table=own)
            case "changed":
                return queryset.filter(before__isnull=False, after__isnull=False)
            case "removed":
                return queryset.filter(after__isnull=True)
            case "erased":
                return queryset.filter(table=own)
        return queryset


@admin.register(AuditEntry)
class AuditAdmin(FactsAdmin):
    """Who changed what: the newest first, in words, every change of a request one click away."""

    list_display = ("at", "actor", "subject", "told", "together")
    list_filter = (TableFilter, KindFilter, ("at", RangeDateTimeFilter))
    list_filter_submit = True
    list_display_links = ("at",)
    search_fields = ("actor", "request")
    search_help_text = _("by whom, or the id of a request")
    fields = readonly_fields = ("at", "actor", "subject", "done", "told_whole", "request", "others", "sealed_by")
    ordering = ("-id",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Also the history of one row, which other pages link to."""
        return lookup in {"row", "request"} or super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("what"), ordering="table")
    def subject(self, entry: AuditEntry) -> str:
        """The row."""
        return f"{words.subject(entry)}, {words.kind(entry)}"

    @admin.display(description=_("done"))
    def done(self, entry: AuditEntry) -> str:
        """Made, changed, removed or erased."""
        return words.kind(entry)

    @admin.display(description=_("was → is"))
    def told(self, entry: AuditEntry) -> SafeString:
        """The first columns that differ."""
        found = words.changes(entry)
        more = len(found) - IN_LIST
        shown = _lines(found[:IN_LIST])
        return format_html("{}<div>{}</div>", shown, _("and %(n)d more") % {"n": more}) if more > 0 else shown

    @admin.display(description=_("was → is"))
    def told_whole(self, entry: AuditEntry) -> SafeString:
        """Every column that differs."""
        return _lines(words.changes(entry)) or SafeString("–")

    @admin.display(description=_("request"))
    def together(self, entry: AuditEntry) -> SafeString | str:
        """To all changes of the same request."""
        if not entry.request:
            return "–"
        url = f"{reverse('admin:core_auditentry_changelist')}?{urlencode({'request': entry.request})}"
        return format_html('<a href="{}">{}</a>', url, entry.request[:12])

    @admin.display(description=_("changed in the same request"))
    def others(self, entry: AuditEntry) -> SafeString | str:
        """What else the request did."""
        if not entry.request:
            return "–"
        rows = AuditEntry.objects.filter(request=entry.request).exclude(pk=entry.pk).order_by("pk")[:TOGETHER]
        links = (
            (reverse("admin:core_auditentry_change", args=[row.pk]), f"{words.subject(row)}, {words.kind(row)}")
            for row in rows
        )
        return format_html_join("", '<div><a href="{}">{}</a></div>', links) or "–"

    @admin.display(description=_("sealed"))
    def sealed_by(self, entry: AuditEntry) -> str:
        """Which seal holds it."""
        held = AuditSeal.objects.filter(first_id__lt=entry.pk, last_id__gte=entry.pk).first()
        if held is None:
            return str(_("not yet; it happens every minute"))
        return str(_("by seal %(number)d") % {"number": held.number})


@admin.register(AuditSeal)
class AuditSealAdmin(FactsAdmin):
    """The chain that holds the audit; `manage.py verify_audit` recomputes it."""

    list_display = ("number", "sealed_at", "count", "first_id", "last_id", "digest")
    list_filter = (("sealed_at", RangeDateTimeFilter),)
    list_filter_submit = True
    fields = readonly_fields = ("number", "sealed_at", "count", "first_id", "last_id", "digest")
    ordering = ("-number",)


@admin.register(AuditAnchor)
class AuditAnchorAdmin(FactsAdmin):
    """Where the kept chain begins, each time months were dropped."""

    list_display = fields = readonly_fields = ("kept_from", "made_at", "number", "last_id", "digest")
    ordering = ("-kept_from",)


@admin.register(PiiAccess)
class PiiAccessAdmin(FactsAdmin):
    """Who saw whose data, when and why."""

    list_display = ("at", "actor", "way", "model", "label", "what", "reason")
    list_filter = ("way", "model", ("at", RangeDateTimeFilter))
    list_filter_submit = True
    search_fields = ("actor", "label")
    fields = readonly_fields = ("at", "actor", "way", "model", "row", "label", "what", "reason", "request")
    ordering = ("-id",)

    @admin.display(description=_("fields"))
    def what(self, seen: PiiAccess) -> str:
        """Which fields."""
        return ", ".join(seen.fields)


def _lines(found: list[words.Change]) -> SafeString:
    return format_html_join("", "<div>{}: {} → {}</div>", ((x.label, x.was, x.now) for x in found))
