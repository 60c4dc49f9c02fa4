"""Orders and their lines. The line is the unit of truth; the order's status is derived from its lines."""

from __future__ import annotations

from typing import ClassVar, Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from catalog.models import Listing, Sku
from domventas.core.fields import AmountField, ClientForeignKey, CurrencyField
from domventas.core.models import ClientModel, ClientPart
from marketplaces.models import Account, Site
from marketplaces.records import FeeKind, FulfillmentOwner, LineStatus, MoneyEvent
from orders.models.scope import OfOrderManager, OrderManager

#: Statuses in which somebody still has to do something.
OPEN_STATUSES: Final = ("pending", "to_accept", "to_ship", "part_shipped")


class Order(ClientModel):
    """One order of one buyer at a marketplace. Members limited to brands see the orders with lines of those."""

    objects: ClassVar[OrderManager[Order]] = OrderManager()
    volatile = ("raw_id", "digest")

    account = ClientForeignKey(Account, on_delete=models.PROTECT, related_name="orders", db_index=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    external_id = models.CharField(_("order"), max_length=80)
    alias = models.CharField(_("other number"), max_length=120, blank=True)
    currency = CurrencyField(_("currency"))
    status = models.CharField(_("status"), max_length=14, choices=[(x.value, x.value) for x in LineStatus])
    fulfillment = models.CharField(
        _("fulfilled by"), max_length=12, choices=[(x.value, x.value) for x in FulfillmentOwner]
    )
    is_business = models.BooleanField(_("business buyer"), default=False)
    stated_total = AmountField(_("total as stated"), null=True, blank=True)
    computed_total = AmountField(_("total of its lines"), null=True, blank=True)
    ordered_at = models.DateTimeField(_("ordered at"))
    ordered_on = models.DateField(_("ordered on, at the site"))
    source_updated_at = models.DateTimeField(_("changed at the marketplace"))
    ship_by = models.DateTimeField(_("ship by"), null=True, blank=True)
    raw_id = models.BigIntegerField(_("raw document"), null=True, blank=True)
    digest = models.CharField(_("digest of the record"), max_length=32, blank=True, editable=False)

    class Meta(ClientModel.Meta):
        ordering = ["-ordered_at"]
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "account", "external_id"], name="order_client_account_external_uniq"
            )
        ]
        indexes = [
            models.Index(fields=["client", "-ordered_at"], name="order_client_ordered_idx"),
            models.Index(fields=["client", "account", "ordered_on"], name="order_client_account_day_idx"),
            models.Index(
                fields=["client", "ship_by"],
                name="order_client_shipby_open_idx",
                condition=models.Q(status__in=OPEN_STATUSES),
            ),
        ]

    def __str__(self) -> str:
        return self.external_id


class OrderLine(ClientPart):
    """One ordered position. `hold` says why it waits; an unmapped offer holds it until somebody maps the offer."""

    brand_path = "sku__product__brand"
    free_text = ()

    class Hold(models.TextChoices):
        NONE = "", _("none")
        UNMAPPED = "unmapped", _("unknown offer")

    order = ClientForeignKey(Order, on_delete=models.CASCADE, related_name="lines", db_index=False)
    account_id = models.BigIntegerField(_("account"))
    external_id = models.CharField(_("line"), max_length=80)
    sku = ClientForeignKey(
        Sku, on_delete=models.PROTECT, related_name="order_lines", null=True, blank=True, db_index=False
    )
    listing = ClientForeignKey(
        Listing, on_delete=models.SET_NULL, related_name="order_lines", null=True, blank=True, db_wall=False
    )
    offer_ref = models.CharField(_("offer"), max_length=120, blank=True)
    seller_sku = models.CharField(_("seller SKU"), max_length=120, blank=True)
    product_ref = models.CharField(_("marketplace product id"), max_length=120, blank=True)
    title = models.CharField(_("title"), max_length=500, blank=True)
    category = models.CharField(_("category"), max_length=80, blank=True)
    quantity = models.PositiveIntegerField(_("quantity"))
    quantity_shipped = models.PositiveIntegerField(_("shipped"), null=True, blank=True)
    quantity_canceled = models.PositiveIntegerField(_("canceled"), null=True, blank=True)
    status = models.CharField(_("status"), max_length=14, choices=[(x.value, x.value) for x in LineStatus])
    raw_status = models.CharField(_("status as they say it"), max_length=80, blank=True)
    hold = models.CharField(_("held because"), max_length=10, choices=Hold, default="", blank=True)
    ship_by = models.DateTimeField(_("ship by"), null=True, blank=True)
    shipped_at = models.DateTimeField(_("shipped at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    changed_at = models.DateTimeField(_("last changed here"))

    volatile = ("changed_at",)
    dump_refs = {"account_id": "marketplaces.Account"}

    class Meta(ClientPart.Meta):
        verbose_name = _("order line")
        verbose_name_plural = _("order lines")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "order", "external_id"], name="orderline_client_order_external_uniq"
            )
        ]
        indexes = [
            models.Index(fields=["client", "account_id", "external_id"], name="orderline_account_external_idx"),
            models.Index(fields=["client", "sku", "-id"], name="orderline_client_sku_idx"),
            models.Index(fields=["client", "changed_at"], name="orderline_client_changed_idx"),
            models.Index(
                fields=["client", "offer_ref"], name="orderline_client_held_idx", condition=~models.Q(hold="")
            ),
        ]

    def __str__(self) -> str:
        return self.external_id


class OrderRefund(ClientPart):
    """Money given back for one order line, as the order source states it."""

    brand_path = "line__sku__product__brand"

    line = ClientForeignKey(OrderLine, on_delete=models.CASCADE, related_name="refunds", db_index=False)
    external_id = models.CharField(_("refund"), max_length=120)
    refunded_at = models.DateTimeField(_("refunded at"), null=True, blank=True)
    quantity = models.PositiveIntegerField(_("quantity"), null=True, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)

    class Meta(ClientPart.Meta):
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        constraints = [
            models.UniqueConstraint(fields=["client", "line", "external_id"], name="orderrefund_client_line_uniq")
        ]

    def __str__(self) -> str:
        return self.external_id


class OrderCharge(ClientPart):
    """One amount of an order line as the order itself states it, signed as seen by us [order's currency]."""

    brand_path = "line__sku__product__brand"

    line = ClientForeignKey(OrderLine, on_delete=models.CASCADE, related_name="charges", db_index=False)
    event = models.CharField(_("event"), max_length=8, choices=[(x.value, x.value) for x in MoneyEvent], default="sale")
    refund_ref = models.CharField(_("refund"), max_length=120, blank=True)
    kind = models.CharField(_("kind"), max_length=24, choices=[(x.value, x.value) for x in FeeKind])
    amount = AmountField(_("amount"))
    currency = CurrencyField(_("currency"))

    class Meta(ClientPart.Meta):
        verbose_name = _("charge of an order line")
        verbose_name_plural = _("charges of order lines")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "line", "event", "refund_ref", "kind"], name="ordercharge_client_line_kind_uniq"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"


class OrderEvent(ClientPart):
    """Something that became of an order line: status changes, holds, releases, corrections."""

    objects: ClassVar[OfOrderManager[OrderEvent]] = OfOrderManager()
    volatile = True

    order = ClientForeignKey(Order, on_delete=models.CASCADE, related_name="events", db_index=False)
    line_external_id = models.CharField(_("line"), max_length=80, blank=True)
    what = models.CharField(_("what"), max_length=40)
    before = models.CharField(_("before"), max_length=200, blank=True)
    after = models.CharField(_("after"), max_length=200, blank=True)
    actor = models.CharField(_("who"), max_length=254, blank=True)
    at = models.DateTimeField(_("at"))

    class Meta(ClientPart.Meta):
        verbose_name = _("order event")
        verbose_name_plural = _("order events")
        constraints = [
            models.UniqueConstraint(
                fields=["client", "order", "line_external_id", "what", "at", "after"],
                name="orderevent_client_order_uniq",
            )
        ]

    def __str__(self) -> str:
        return f"{self.what} {self.before} → {self.after}"


class OrderException(ClientPart):
    """Something odd about a loaded order that a person should see; the order itself is loaded.

    `resolved_by` is empty when the oddity went away by itself; then it comes back if it is seen again.
    """

    objects: ClassVar[OfOrderManager[OrderException]] = OfOrderManager()

    class Code(models.TextChoices):
        TOTAL_MISMATCH = "total_mismatch", _("stated total differs from its lines")
        UNKNOWN_STATUS = "unknown_status", _("unknown status")
        PRICE_ZERO = "price_zero", _("price is zero")

    order = ClientForeignKey(Order, on_delete=models.CASCADE, related_name="exceptions", db_index=False)
    code = models.CharField(_("what"), max_length=20, choices=Code)
    detail = models.CharField(_("detail"), max_length=300, blank=True)
    seen_at = models.DateTimeField(_("seen at"))
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    resolved_by = models.CharField(_("resolved by"), max_length=254, blank=True)

    volatile = ("seen_at", "resolved_at")

    class Meta(ClientPart.Meta):
        verbose_name = _("order exception")
        verbose_name_plural = _("order exceptions")
        constraints = [
            models.UniqueConstraint(fields=["client", "order", "code"], name="orderexception_client_order_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.order_id}"
