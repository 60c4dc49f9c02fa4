"""Exchange rates: each with its purpose and its source, never one rate for everything."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import CurrencyField, RateField
from domventas.core.models import ClientModel


class Purpose(models.TextChoices):
    """What a rate may be used for."""

    DAILY = "daily", _("management, daily")
    PERIOD_END = "period_end", _("period end")
    OSS = "oss", _("OSS, last day of the tax period")
    TAX = "tax", _("local tax authority")
    ACTUAL = "actual", _("bank, actual")


class ReferenceRate(models.Model):
    """A published rate: units of `currency` for one EUR on a day. The same for all clients."""

    currency = CurrencyField(_("currency"))
    day = models.DateField(_("day"))
    purpose = models.CharField(_("purpose"), max_length=12, choices=Purpose, default=Purpose.DAILY)
    rate = RateField(_("units per EUR"))
    source = models.CharField(_("source"), max_length=120)
    is_derived = models.BooleanField(_("derived by peg"), default=False)

    class Meta:
        verbose_name = _("reference rate")
        verbose_name_plural = _("reference rates")
        constraints = [
            models.UniqueConstraint(
                fields=["currency", "day", "purpose"], name="referencerate_currency_day_purpose_uniq"
            ),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="referencerate_rate_check"),
        ]

    def __str__(self) -> str:
        return f"{self.day} 1 EUR = {self.rate} {self.currency}"


class ExchangeRate(ClientModel):
    """A rate the client itself sets or was given by its bank; it wins over the published one."""

    audited = True

    currency = CurrencyField(_("currency"))
    day = models.DateField(_("day"))
    purpose = models.CharField(_("purpose"), max_length=12, choices=Purpose, default=Purpose.DAILY)
    rate = RateField(_("units per EUR"))
    source = models.CharField(_("source"), max_length=120)

    class Meta(ClientModel.Meta):
        verbose_name = _("exchange rate")
        verbose_name_plural = _("exchange rates")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "currency", "day", "purpose"], name="exchangerate_client_currency_day_uniq"
            ),
            models.CheckConstraint(condition=models.Q(rate__gt=0), name="exchangerate_rate_check"),
        ]

    def __str__(self) -> str:
        return f"{self.day} 1 EUR = {self.rate} {self.currency}"
