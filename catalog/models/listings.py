"""Our offers at the marketplaces, and the ids they used that we do not know yet."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models.products import Sku
from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel
from marketplaces.models import Account, Site
from marketplaces.records import FulfillmentOwner, ListingStatus


class Listing(ClientModel):
    """One offer: a SKU at an account and site under the marketplace's own key; `sku` is empty until mapped."""

    brand_path = "sku__product__brand"
    free_text = ()

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="listings")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    offer_ref = models.CharField(_("offer"), max_length=120)
    sku = ClientForeignKey(Sku, on_delete=models.PROTECT, related_name="listings", null=True, blank=True)
    seller_sku = models.CharField(_("seller SKU"), max_length=120, blank=True)
    product_ref = models.CharField(_("marketplace product id"), max_length=120, blank=True)
    title = models.CharField(_("title"), max_length=500, blank=True)
    category = models.CharField(_("category"), max_length=80, blank=True)
    fulfillment = models.CharField(
        _("fulfilled by"), max_length=12, choices=[(x.value, x.value) for x in FulfillmentOwner], default="unknown"
    )
    pack_factor = models.PositiveIntegerField(_("units per offer"), default=1)
    status = models.CharField(
        _("status"), max_length=12, choices=[(x.value, x.value) for x in ListingStatus], default="unknown"
    )
    raw_status = models.CharField(_("status as they say it"), max_length=80, blank=True)
    live_price = AmountField(_("live price"), null=True, blank=True)
    currency = CurrencyField(_("currency"))
    live_quantity = models.IntegerField(_("live quantity"), null=True, blank=True)
    seen_at = models.DateTimeField(_("seen at"), null=True, blank=True)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)

    volatile = ("raw_id", "seen_at")

    class Meta(ClientModel.Meta):
        verbose_name = _("listing")
        verbose_name_plural = _("listings")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "site", "offer_ref"], name="listing_client_account_site_offer_uniq"
            )
        ]
        indexes = [models.Index(fields=["client", "sku"], name="listing_client_sku_idx")]

    def __str__(self) -> str:
        return f"{self.offer_ref} @ {self.site_id}"


class UnmappedItem(ClientModel):
    """An offer somebody sold or settled that has no SKU of ours yet: it holds order lines until it is mapped."""

    brand_path = "sku__product__brand"
    free_text = ()

    class State(models.TextChoices):
        OPEN = "open", _("to be mapped")
        MAPPED = "mapped", _("mapped")
        IGNORED = "ignored", _("ignored")

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="unmapped_items")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    offer_ref = models.CharField(_("offer"), max_length=120)
    seller_sku = models.CharField(_("seller SKU"), max_length=120, blank=True)
    product_ref = models.CharField(_("marketplace product id"), max_length=120, blank=True)
    title = models.CharField(_("title"), max_length=500, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.OPEN)
    sku = ClientForeignKey(Sku, on_delete=models.PROTECT, related_name="+", null=True, blank=True)
    candidate = ClientForeignKey(Sku, on_delete=models.SET_NULL, related_name="+", null=True, blank=True)
    candidate_reason = models.CharField(_("why this SKU"), max_length=200, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))
    mapped_by = models.CharField(_("mapped by"), max_length=254, blank=True)
    mapped_at = models.DateTimeField(_("mapped at"), null=True, blank=True)

    # Site and product id are as they were first told: an offer and an order of it may name them differently.
    volatile = ("site", "product_ref", "first_seen_at", "last_seen_at")

    class Meta(ClientModel.Meta):
        verbose_name = _("unmapped item")
        verbose_name_plural = _("unmapped items")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "offer_ref"], name="unmappeditem_client_account_offer_uniq"
            )
        ]

    def __str__(self) -> str:
        return self.offer_ref
