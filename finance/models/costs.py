"""What a unit costs us, with the time it is valid."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models import Sku
from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel


class SkuCost(ClientModel):
    """Price-list cost of one unit by SKU, warehouse, vendor and currency, valid for a range of days.

    Components are positive, per unit, without recoverable VAT. Two rows for the same key may never overlap.
    """

    audited = True
    brand_path = "sku__product__brand"

    sku = ClientForeignKey(Sku, on_delete=models.PROTECT, related_name="costs")
    warehouse = models.CharField(_("warehouse"), max_length=40, blank=True)
    vendor = models.CharField(_("vendor"), max_length=80, blank=True)
    currency = CurrencyField(_("currency"))
    valid = DateRangeField(_("valid"))
    purchase = AmountField(_("purchase"))
    shipping = AmountField(_("shipping"), default=0)
    customs = AmountField(_("customs"), default=0)
    insurance = AmountField(_("insurance"), default=0)
    additional = AmountField(_("additional"), default=0)
    vat_rate = models.DecimalField(_("VAT rate"), max_digits=6, decimal_places=4, null=True, blank=True)
    is_vat_recoverable = models.BooleanField(_("VAT recoverable"), default=True)
    source = models.CharField(_("source"), max_length=120, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("SKU cost")
        verbose_name_plural = _("SKU costs")
        constraints = [
            ExclusionConstraint(
                name="skucost_key_valid_excl",
                expressions=[
                    ("client_id", RangeOperators.EQUAL),
                    ("sku_id", RangeOperators.EQUAL),
                    ("warehouse", RangeOperators.EQUAL),
                    ("vendor", RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(
                condition=models.Q(
                    purchase__gte=0, shipping__gte=0, customs__gte=0, insurance__gte=0, additional__gte=0
                ),
                name="skucost_components_check",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku_id} {self.valid}"
