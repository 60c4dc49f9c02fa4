"""Dated rules: what a raw line means, what a fee should be, what a refund gives back, when money is due."""

from __future__ import annotations

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, DecimalRangeField, IntegerRangeField, RangeOperators
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import AmountField, CurrencyField
from domventas.core.models import ClientModel
from marketplaces.records import FeeKind, FulfillmentOwner, MoneyEvent

KINDS = [(x.value, x.value) for x in FeeKind]


class Origin(models.TextChoices):
    """Who wrote a rule. Staff's rows are never overwritten by a release."""

    SHIPPED = "shipped", _("shipped with the connector")
    STAFF = "staff", _("staff")


class FeeKindMap(ClientModel):
    """What a marketplace's own words for a money line mean: raw type pattern → kind and event."""

    audited = True

    channel = models.CharField(_("channel"), max_length=40)
    pattern = models.CharField(_("raw type"), max_length=300, help_text=_("lower case; * stands for anything"))
    event = models.CharField(_("event"), max_length=8, choices=[(x.value, x.value) for x in MoneyEvent])
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    sign = models.SmallIntegerField(_("usual sign"), null=True, blank=True)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin, default=Origin.STAFF)
    note = models.CharField(_("note"), max_length=300, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("fee kind mapping")
        verbose_name_plural = _("fee kind mappings")
        constraints = [
            models.UniqueConstraint(fields=["client", "channel", "pattern"], name="feekindmap_client_pattern_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.pattern} → {self.kind}"


class FeeRule(ClientModel):
    """What a marketplace may charge: one rate for a site, kind, category, fulfillment, price and weight band, dated.

    `rate` is a share of the basis, `fixed_amount` per unit [currency], both positive; the fee before tax is
    max(rate × basis, min_amount) + fixed_amount × quantity, rounded half-up once; its tax = fee × fee_tax_rate.
    """

    audited = True

    class Basis(models.TextChoices):
        GROSS = "gross_incl_tax", _("price and shipping, tax included")
        NET = "net_ex_tax", _("price and shipping, without tax")
        UNIT = "unit", _("per unit")

    site = models.CharField(_("site"), max_length=60)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS)
    category = models.CharField(_("category"), max_length=80, blank=True, help_text=_("empty = every category"))
    fulfillment = models.CharField(
        _("fulfilled by"), max_length=12, blank=True, choices=[(x.value, x.value) for x in FulfillmentOwner]
    )
    price_band = DecimalRangeField(_("price band"))
    weight_band = IntegerRangeField(_("weight band [g]"))
    basis = models.CharField(_("basis"), max_length=16, choices=Basis)
    rate = models.DecimalField(_("rate"), max_digits=9, decimal_places=6, default=0)
    fixed_amount = AmountField(_("fixed amount"), default=0)
    min_amount = AmountField(_("at least"), default=0)
    currency = CurrencyField(_("currency"))
    fee_tax_rate = models.DecimalField(_("tax on the fee"), max_digits=6, decimal_places=4, default=0)
    is_tax_in_line = models.BooleanField(_("tax is inside the fee line"), default=False)
    valid = DateRangeField(_("valid"))
    source = models.CharField(_("source"), max_length=200)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin, default=Origin.STAFF)

    class Meta(ClientModel.Meta):
        verbose_name = _("fee rule")
        verbose_name_plural = _("fee rules")
        constraints = [
            ExclusionConstraint(
                name="feerule_key_valid_excl",
                expressions=[
                    ("client_id", RangeOperators.EQUAL),
                    ("site", RangeOperators.EQUAL),
                    ("kind", RangeOperators.EQUAL),
                    ("category", RangeOperators.EQUAL),
                    ("fulfillment", RangeOperators.EQUAL),
                    ("price_band", RangeOperators.OVERLAPS),
                    ("weight_band", RangeOperators.OVERLAPS),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.kind} {self.category}"


class RefundRule(ClientModel):
    """What a refund gives back of a fee, and what the marketplace keeps for itself; dated."""

    audited = True

    site = models.CharField(_("site"), max_length=60)
    kind = models.CharField(_("fee kind"), max_length=24, choices=KINDS)
    share_returned = models.DecimalField(_("share given back"), max_digits=6, decimal_places=4)
    retained_kind = models.CharField(_("kept as"), max_length=24, choices=KINDS, blank=True)
    retained_rate = models.DecimalField(
        _("share kept of the fee given back"), max_digits=6, decimal_places=4, default=0
    )
    retained_cap = AmountField(_("kept at most, per line"), null=True, blank=True)
    currency = CurrencyField(_("currency"))
    fee_tax_rate = models.DecimalField(_("tax on the fee"), max_digits=6, decimal_places=4, default=0)
    valid = DateRangeField(_("valid"))
    source = models.CharField(_("source"), max_length=200)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin, default=Origin.STAFF)

    class Meta(ClientModel.Meta):
        verbose_name = _("refund rule")
        verbose_name_plural = _("refund rules")
        constraints = [
            ExclusionConstraint(
                name="refundrule_key_valid_excl",
                expressions=[
                    ("client_id", RangeOperators.EQUAL),
                    ("site", RangeOperators.EQUAL),
                    ("kind", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.kind}"


class PaymentTerm(ClientModel):
    """When money for a sale is due: release after shipping or delivery, the settlement cycle, some grace; dated."""

    audited = True

    class Basis(models.TextChoices):
        SHIPPED = "shipped", _("shipped")
        DELIVERED = "delivered", _("delivered")

    site = models.CharField(_("site"), max_length=60)
    basis = models.CharField(_("counts from"), max_length=10, choices=Basis)
    release_days = models.PositiveIntegerField(_("released after [days]"))
    cycle_days = models.PositiveIntegerField(_("settlement cycle [days]"))
    grace_days = models.PositiveIntegerField(_("grace [days]"))
    transit_days = models.PositiveIntegerField(
        _("delivered after, when nobody says [days]"), default=7, help_text=_("untracked parcels")
    )
    valid = DateRangeField(_("valid"))
    source = models.CharField(_("source"), max_length=200)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin, default=Origin.STAFF)

    class Meta(ClientModel.Meta):
        verbose_name = _("payment term")
        verbose_name_plural = _("payment terms")
        constraints = [
            ExclusionConstraint(
                name="paymentterm_key_valid_excl",
                expressions=[
                    ("client_id", RangeOperators.EQUAL),
                    ("site", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.basis} + {self.release_days}"


class Tolerance(ClientModel):
    """How far paid may be from expected before somebody has to look: absolute, per line and kind; dated."""

    audited = True

    site = models.CharField(_("site"), max_length=60)
    kind = models.CharField(_("kind"), max_length=24, choices=KINDS, blank=True, help_text=_("empty = every kind"))
    currency = CurrencyField(_("currency"))
    absolute_amount = AmountField(_("at most"))
    share_of_fee = models.DecimalField(_("or this share of the fee"), max_digits=6, decimal_places=4, default=0)
    valid = DateRangeField(_("valid"))
    source = models.CharField(_("source"), max_length=200)
    origin = models.CharField(_("origin"), max_length=8, choices=Origin, default=Origin.STAFF)

    class Meta(ClientModel.Meta):
        verbose_name = _("tolerance")
        verbose_name_plural = _("tolerances")
        constraints = [
            ExclusionConstraint(
                name="tolerance_key_valid_excl",
                expressions=[
                    ("client_id", RangeOperators.EQUAL),
                    ("site", RangeOperators.EQUAL),
                    ("kind", RangeOperators.EQUAL),
                    ("currency", RangeOperators.EQUAL),
                    ("valid", RangeOperators.OVERLAPS),
                ],
            )
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.kind} ± {self.absolute_amount}"
