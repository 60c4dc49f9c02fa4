"""The one table with personal data of buyers, and the proof of what was erased."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, EncryptedJSONField
from domventas.core.models import ClientModel, ClientPart
from orders.models.orders import Order
from orders.models.scope import OfOrderManager


class BuyerContact(ClientPart):
    """Who bought and where it goes, encrypted as one value, with the date it has to vanish.

    A hold keeps it longer where a law or a dispute demands it; who, why and until when are written down.
    """

    objects: ClassVar[OfOrderManager[BuyerContact]] = OfOrderManager()
    audited = ("purged_at", "hold_until", "hold_reason")
    volatile = ("contact", "purge_at", "purged_at")

    order = ClientForeignKey(Order, on_delete=models.CASCADE, related_name="buyer_contacts", db_index=False)
    contact = EncryptedJSONField(_("contact"), null=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    purge_at = models.DateTimeField(_("purge at"))
    purged_at = models.DateTimeField(_("purged at"), null=True, blank=True)
    hold_until = models.DateTimeField(_("kept by law until"), null=True, blank=True)
    hold_reason = models.CharField(_("kept because"), max_length=300, blank=True)
    hold_by = models.CharField(_("kept by"), max_length=254, blank=True)

    class Meta(ClientPart.Meta):
        verbose_name = _("buyer contact")
        verbose_name_plural = _("buyer contacts")
        constraints = [models.UniqueConstraint(fields=["client", "order"], name="buyercontact_client_order_uniq")]
        indexes = [
            models.Index(
                fields=["client", "purge_at"],
                name="buyercontact_client_due_idx",
                condition=models.Q(purged_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"#{self.order_id}"


class Erasure(ClientModel):
    """The proof that a person was erased on request: when, why, by whom, in which orders, what, where and how often.

    It names nobody: the orders' numbers lead to who asked, as long as the marketplace still knows them.
    """

    app_may = "SELECT, INSERT, UPDATE"  # a reason may have to lose a name; the sealed audit tells of it
    audited = True
    volatile = True

    at = models.DateTimeField(_("at"))
    actor = models.CharField(_("by"), max_length=254)
    reason = models.CharField(_("reason"), max_length=300)
    orders = models.JSONField(_("orders"), default=list)
    fields = models.JSONField(_("what was erased"), default=list)
    places = models.JSONField(_("where, and how many rows"), default=dict)
    kept = models.JSONField(_("kept by law"), default=list)

    class Meta(ClientModel.Meta):
        ordering = ["-at"]
        verbose_name = _("erasure")
        verbose_name_plural = _("erasures")

    def __str__(self) -> str:
        return f"{localtime(self.at):%Y-%m-%d %H:%M}"
