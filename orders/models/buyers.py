"""The one table with personal data of buyers."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey, EncryptedJSONField
from domventas.core.models import ClientPart
from orders.models.orders import Order
from orders.models.scope import OfOrderManager


class BuyerContact(ClientPart):
    """Who bought and where it goes, encrypted as one value, with the date it has to vanish."""

    objects: ClassVar[OfOrderManager[BuyerContact]] = OfOrderManager()
    volatile = ("contact", "purge_at", "purged_at")

    order = ClientForeignKey(Order, on_delete=models.CASCADE, related_name="buyer_contacts", db_index=False)
    contact = EncryptedJSONField(_("contact"), null=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    purge_at = models.DateTimeField(_("purge at"))
    purged_at = models.DateTimeField(_("purged at"), null=True, blank=True)

    class Meta(ClientPart.Meta):
        verbose_name = _("buyer contact")
        verbose_name_plural = _("buyer contacts")
        constraints = [models.UniqueConstraint(fields=["client", "order"], name="buyercontact_client_order_uniq")]

    def __str__(self) -> str:
        return f"#{self.order_id}"
