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


class CalendarDay(ClientModel):
    """One day on which a client works although others do not, or does not although others do, in one country."""

    audited = True

    country = models.CharField(_("country"), max_length=2, help_text=_("two letters, as in DE"))
    day = models.DateField(_("day"))
    is_worked = models.BooleanField(_("worked"), default=False)
    note = models.CharField(_("why"), max_length=120, blank=True)

    class Meta(ClientModel.Meta):
        ordering = ["-day", "country"]
        verbose_name = _("calendar day")
        verbose_name_plural = _("calendar days")
        constraints = [
            models.UniqueConstraint(fields=["client", "country", "day"], name="core_calendarday_country_day_uniq"),
            models.CheckConstraint(
                condition=models.Q(country__regex="^[A-Z]{2}$"), name="core_calendarday_country_check"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.day}"
