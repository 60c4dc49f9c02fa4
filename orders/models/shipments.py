"""What we have shipped: our own facts, whatever the marketplace makes of them, and where our parcels start."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from domventas.core.fields import ClientForeignKey
from domventas.core.models import ClientModel
from marketplaces.models import Account
from orders.models.orders import Order, OrderLine
from orders.models.scope import OfOrderManager


class Shipment(ClientModel):
    """One parcel of one order that has left us. Whether the marketplace knows of it stands in the outbox."""

    objects: ClassVar[OfOrderManager[Shipment]] = OfOrderManager()
    volatile = ("created_at",)

    order = ClientForeignKey(Order, on_delete=models.PROTECT, related_name="shipments")
    number = models.PositiveIntegerField(_("parcel"))
    carrier = models.CharField(_("carrier"), max_length=40)
    tracking_number = models.CharField(_("tracking number"), max_length=100)
    return_carrier = models.CharField(_("carrier of the return label"), max_length=40, blank=True)
    return_tracking = models.CharField(_("number of the return label"), max_length=100, blank=True)
    shipped_at = models.DateTimeField(_("shipped at"))
    created_at = models.DateTimeField(_("confirmed at"))
    created_by = models.CharField(_("confirmed by"), max_length=254, blank=True)

    class Meta(ClientModel.Meta):
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        constraints = [
            models.UniqueConstraint(fields=["client", "order", "number"], name="shipment_client_order_number_uniq")
        ]
        indexes = [models.Index(fields=["client", "-shipped_at"], name="shipment_client_shipped_idx")]

    def __str__(self) -> str:
        return f"{self.order} / {self.number}"

    @property
    def ref(self) -> str:
        """Its number for the marketplace and the outbox: digits, the same through all attempts."""
        return str(self.pk)


class ShipmentLine(ClientModel):
    """So many pieces of an order line in one parcel."""

    brand_path = "line__sku__product__brand"

    shipment = ClientForeignKey(Shipment, on_delete=models.CASCADE, related_name="lines")
    line = ClientForeignKey(OrderLine, on_delete=models.PROTECT, related_name="shipment_lines")
    quantity = models.PositiveIntegerField(_("pieces"))

    class Meta(ClientModel.Meta):
        verbose_name = _("pieces in a shipment")
        verbose_name_plural = _("pieces in shipments")
        constraints = [
            models.UniqueConstraint(fields=["client", "shipment", "line"], name="shipmentline_client_shipment_uniq"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="shipmentline_quantity_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} × {self.line_id}"


class ShipFrom(ClientModel):
    """Where an account's parcels start; some marketplaces want to be told."""

    audited = True

    account = ClientForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    city = models.CharField(_("town"), max_length=60)
    postal_code = models.CharField(_("postal code"), max_length=10)
    country = models.CharField(
        _("country"), max_length=2, validators=[RegexValidator(r"^[A-Z]{2}\Z", _("Two capital letters, like DE."))]
    )

    class Meta(ClientModel.Meta):
        verbose_name = _("place parcels start from")
        verbose_name_plural = _("places parcels start from")
        constraints = [models.UniqueConstraint(fields=["client", "account"], name="shipfrom_client_account_uniq")]

    def __str__(self) -> str:
        return f"{self.postal_code} {self.city}, {self.country}"
