"""Limits a client has set differently from the house's default."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import RateField
from domventas.core.models.base import ClientModel


class Threshold(ClientModel):
    """One limit of one client: for everything, or for one account, SKU, brand or ticket type (`scope`)."""

    audited = True

    code = models.CharField(_("limit"), max_length=80)
    scope_kind = models.CharField(_("applies to"), max_length=20, blank=True)
    scope_ref = models.CharField(_("which one"), max_length=100, blank=True)
    value = RateField(_("value"))

    class Meta(ClientModel.Meta):
        ordering = ["code", "scope_kind", "scope_ref"]
        verbose_name = _("limit")
        verbose_name_plural = _("limits")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "code", "scope_kind", "scope_ref"], name="core_threshold_code_scope_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.code} = {self.value:f}"
