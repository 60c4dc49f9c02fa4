"""Who changed what: written by the database itself, so that no way of writing goes around it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from domventas.core.models.base import ClientModel


class AuditEntry(ClientModel):
    """One change of one row: before, after, by whom, in which request. Secrets appear as fingerprints only.

    The application may read it, never write it; rows come from the trigger `core_audit` alone.
    """

    app_may = "SELECT"
    volatile = True
    partition_by = "day"

    day = models.DateField(_("day"))
    at = models.DateTimeField(_("at"), db_default=Now())
    table = models.CharField(_("table"), max_length=63)
    row = models.BigIntegerField(_("row"))
    before = models.JSONField(_("before"), null=True)
    after = models.JSONField(_("after"), null=True)
    actor = models.CharField(_("by"), max_length=254)
    request = models.CharField(_("request"), max_length=64)

    class Meta(ClientModel.Meta):
        ordering = ["-id"]
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        indexes = [
            models.Index(fields=["client", "table", "row"], name="core_auditentry_table_row_idx"),
            models.Index(fields=["client", "-at"], name="core_auditentry_at_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.table} #{self.row}"
