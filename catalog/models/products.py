"""Our own product master: brand, product, SKU and the ids others use for it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey
from domventas.core.models import ClientModel


class Brand(ClientModel):
    """A brand of the client; people can be limited to some brands."""

    brand_path = "id"
    free_text = ()

    code = models.SlugField(_("code"), max_length=60)
    name = models.CharField(_("name"), max_length=100)

    class Meta(ClientModel.Meta):
        ordering = ["name"]
        verbose_name = _("brand")
        verbose_name_plural = _("brands")
        constraints = [models.UniqueConstraint(fields=["client", "code"], name="brand_client_code_uniq")]

    def __str__(self) -> str:
        return self.name


class Product(ClientModel):
    """What is sold, whatever its size or color; its SKUs are what stands on the shelf."""

    brand_path = "brand"
    free_text = ()

    brand = ClientForeignKey(Brand, on_delete=models.PROTECT, related_name="products")
    code = models.CharField(_("code"), max_length=80)
    title = models.CharField(_("title"), max_length=300)
    category = models.CharField(_("category"), max_length=80, blank=True)
    site_categories = models.JSONField(
        _("category by site"), default=dict, blank=True, help_text=_("where a site's category differs")
    )

    class Meta(ClientModel.Meta):
        ordering = ["code"]
        verbose_name = _("product")
        verbose_name_plural = _("products")
        constraints = [models.UniqueConstraint(fields=["client", "code"], name="product_client_code_uniq")]

    def __str__(self) -> str:
        return self.title


class Sku(ClientModel):
    """One sellable unit as we keep it: what costs, stock and margin are about."""

    brand_path = "product__brand"
    free_text = ()

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        CANDIDATE = "candidate", _("candidate")
        RETIRED = "retired", _("retired")

    product = ClientForeignKey(Product, on_delete=models.PROTECT, related_name="skus")
    code = models.CharField(_("SKU"), max_length=80)
    name = models.CharField(_("name"), max_length=300)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    weight_g = models.PositiveIntegerField(_("weight [g]"), null=True, blank=True)

    class Meta(ClientModel.Meta):
        ordering = ["code"]
        verbose_name = _("SKU")
        verbose_name_plural = _("SKUs")
        constraints = [models.UniqueConstraint(fields=["client", "code"], name="sku_client_code_uniq")]

    def __str__(self) -> str:
        return self.code


class Identifier(ClientModel):
    """One id by which somebody knows a SKU: EAN, ASIN, a marketplace's item number, a barcode."""

    brand_path = "sku__product__brand"
    free_text = ()

    class Kind(models.TextChoices):
        EAN = "ean", _("EAN")
        ASIN = "asin", _("ASIN")
        SELLER_SKU = "seller_sku", _("seller SKU")
        ITEM = "item", _("marketplace item number")
        BARCODE = "barcode", _("barcode")

    sku = ClientForeignKey(Sku, on_delete=models.CASCADE, related_name="identifiers")
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    channel = models.CharField(_("channel"), max_length=40, blank=True)
    value = models.CharField(_("value"), max_length=120)

    class Meta(ClientModel.Meta):
        verbose_name = _("identifier")
        verbose_name_plural = _("identifiers")
        constraints = [
            models.UniqueConstraint(fields=["client", "kind", "channel", "value"], name="identifier_client_value_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"
