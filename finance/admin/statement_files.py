"""Statement files that people have brought, to read and to follow."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from domventas.core.admin import FactsAdmin
from finance.admin.links import link, raw_document
from finance.models import StatementFile


@admin.register(StatementFile)
class StatementFileAdmin(FactsAdmin):
    """Who brought which file, and what became of it; new ones are brought on the page of the same name."""

    list_display = ("name", "account", "state", "brought_by", "brought_at", "statement", "ended_at")
    list_filter = ("state", "account")
    search_fields = ("name", "brought_by", "=settlement__settlement_ref")
    list_select_related = ("account", "settlement")
    readonly_fields = ("statement", "document")
    exclude = ("raw_id", "settlement")

    @admin.display(description=_("settlement"))
    def statement(self, file: StatementFile) -> SafeString | str:
        """To the page where expected stands beside paid."""
        return link(file.settlement, "finance:settlement", file.settlement_id) if file.settlement else "–"

    @admin.display(description=_("raw document"))
    def document(self, file: StatementFile) -> SafeString | str:
        """To the file's own bytes."""
        return raw_document(file.raw_id)
