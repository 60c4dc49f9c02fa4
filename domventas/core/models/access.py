"""Who looked at personal data, and why."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.models.base import ClientModel


class PiiAccess(ClientModel):
    """Somebody saw or took away a person's data; written before anything was shown, and sealed with the audit."""

    class Way(models.TextChoices):
        SHOWN = "shown", _("shown")
        EXPORTED = "exported", _("taken away as a file")

    app_may = "SELECT, INSERT, UPDATE"  # a reason may have to lose a name; the sealed audit tells of it
    audited = True
    volatile = True

    at = models.DateTimeField(_("at"))
    actor = models.CharField(_("who"), max_length=254)
    request = models.CharField(_("request"), max_length=64, blank=True)
    way = models.CharField(_("how"), max_length=10, choices=Way, default=Way.SHOWN)
    model = models.CharField(_("what"), max_length=80)
    row = models.BigIntegerField(_("row"))
    label = models.CharField(_("known as"), max_length=120, blank=True)
    fields = ArrayField(models.CharField(max_length=60), verbose_name=_("fields"), default=list)
    reason = models.CharField(_("reason"), max_length=300)

    class Meta(ClientModel.Meta):
        ordering = ["-id"]
        verbose_name = _("access to personal data")
        verbose_name_plural = _("accesses to personal data")
        indexes = [
            models.Index(fields=["client", "-at"], name="piiaccess_client_at_idx"),
            models.Index(fields=["client", "model", "row"], name="piiaccess_client_row_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.model} #{self.row}"
