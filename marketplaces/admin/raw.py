"""Raw documents, quarantined records and schema drift."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _

from domventas.core import access
from domventas.core.admin import FactsAdmin
from domventas.core.crypto import Unreadable
from domventas.core.errors import DomventasError
from domventas.core.links import to_raw
from domventas.core.models import PiiAccess
from domventas.core.reveal import Revealed, Revealing
from marketplaces.models import Quarantined, RawDocument, SchemaDrift
from marketplaces.selectors.raw import body_of, document_of, shown
from marketplaces.services.quarantine import excerpt_of
from marketplaces.services.reprocess import reload


@admin.register(RawDocument)
class RawDocumentAdmin(Revealing, FactsAdmin):
    """What the outside said, byte by byte; personal data is blanked, and shown to those who may, for a reason."""

    may_be_taken = True

    list_display = ("__str__", "flow", "account_id", "size", "fetched_at", "last_fetched_at", "redacted_at")
    list_filter = ("flow",)
    search_fields = ("name", "sha256")
    ordering = ("-last_fetched_at",)
    fields = readonly_fields = (
        "name", "flow", "account_id", "sha256", "content_type", "context", "size", "fetched_at", "last_fetched_at",
        "purge_at", "redacted_at", "reveal_link", "content",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[RawDocument]:
        """Lists do without the bytes."""
        return super().get_queryset(request).defer("body")

    def revealed(self, row: RawDocument, *, reason: str, way: PiiAccess.Way) -> Revealed:
        """The document as it came."""
        text, body = shown(row, with_people=True), body_of(row)
        access.note(row, fields=["body"], reason=reason, now=clock(), label=row.name, way=way)
        return Revealed(text=text, file=body, file_name=f"raw-{row.pk}.bin")

    @admin.display(description=_("content"))
    def content(self, document: RawDocument) -> str:
        """The document, readable, without people."""
        try:
            text = shown(document, with_people=False)
        except Unreadable as error:
            text = error.message
        return format_html('<pre dir="ltr" style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text)


@admin.register(Quarantined)
class QuarantinedAdmin(Revealing, FactsAdmin):
    """Records that could not be read or stored; try them again once the cause is gone."""

    list_display = (
        "external_id", "flow", "account", "path", "reason", "seen_count", "last_seen_at", "resolved_at", "raw_link",
    )  # fmt: skip
    list_filter = (("resolved_at", admin.EmptyFieldListFilter), "flow", "account")
    list_select_related = ("account",)
    search_fields = ("external_id", "reason", "path")
    ordering = ("-last_seen_at",)
    actions = ("retry",)
    fields = readonly_fields = (
        "account", "flow", "external_id", "path", "reason", "seen_count", "first_seen_at", "last_seen_at",
        "resolved_at", "raw_link", "reveal_link",
    )  # fmt: skip

    def revealed(self, row: Quarantined, *, reason: str, way: PiiAccess.Way) -> Revealed:
        """The record's bytes."""
        text = excerpt_of(row).decode("utf-8", "replace")
        access.note(row, fields=["excerpt"], reason=reason, now=clock(), label=row.external_id, way=way)
        return Revealed(text=text)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Those who look after the connections."""
        return bool(request.user.has_perm("marketplaces.change_quarantined"))

    @admin.display(description=_("raw document"))
    def raw_link(self, item: Quarantined) -> str:
        """Where it stands."""
        return to_raw(item.raw_id, _("raw document"))

    @admin.action(description=_("Try again"), permissions=["retry"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Quarantined]) -> None:
        """Read the documents these records stand in again."""
        for raw_id in sorted({item.raw_id for item in queryset if item.raw_id}):
            try:
                done = reload(document_of(raw_id), now=clock())
            except DomventasError as error:
                messages.error(request, error.message)
            else:
                told = _("%(records)d records read, %(changed)d rows changed, %(left)d still in quarantine.")
                messages.success(
                    request, told % {"records": done.records, "changed": done.changed, "left": done.quarantined}
                )


@admin.register(SchemaDrift)
class SchemaDriftAdmin(FactsAdmin):
    """What the marketplaces say that their descriptions do not name."""

    list_display = ("path", "value", "flow", "account", "seen_count", "first_seen_at", "last_seen_at", "raw_link")
    list_filter = ("flow", "account")
    list_select_related = ("account",)
    search_fields = ("path", "value")
    ordering = ("-last_seen_at",)

    @admin.display(description=_("raw document"))
    def raw_link(self, drift: SchemaDrift) -> str:
        """Where it was seen last."""
        return to_raw(drift.raw_id, _("raw document"))
