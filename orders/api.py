"""Orders for machines. Buyers are not among what is told."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from domventas.core.api.filters import MomentFilter
from domventas.core.api.views import AmountField, Facts
from orders.models import Order, OrderCharge, OrderLine


class OrderFilter(filters.FilterSet):
    """Which orders."""

    account = filters.CharFilter("account__code")
    site = filters.CharFilter("site__code")
    external_id = filters.CharFilter("external_id")
    ordered_from = filters.DateFilter("ordered_on", "gte")
    ordered_to = filters.DateFilter("ordered_on", "lte")
    changed_from = MomentFilter("source_updated_at", "gte")

    class Meta:
        model = Order
        fields = ("account", "site", "status", "fulfillment", "external_id")


class ChargeSerializer(serializers.ModelSerializer[OrderCharge]):
    """One amount of a line as the order states it, signed as seen by us."""

    amount = AmountField("amount")

    class Meta:
        model = OrderCharge
        fields = ("event", "kind", "refund_ref", "amount")


class OrderLineSerializer(serializers.ModelSerializer[OrderLine]):
    """One ordered position; `sku` is null until its offer is mapped."""

    sku = serializers.CharField(source="sku.code", default=None, allow_null=True, read_only=True)
    charges = ChargeSerializer(many=True, read_only=True)

    class Meta:
        model = OrderLine
        fields = (
            "id", "external_id", "sku", "seller_sku", "offer_ref", "title", "quantity", "quantity_shipped",
            "quantity_canceled", "status", "hold", "ship_by", "shipped_at", "delivered_at", "charges",
        )  # fmt: skip


class OrderSerializer(serializers.ModelSerializer[Order]):
    """One order with its lines."""

    account = serializers.CharField(source="account.code", read_only=True)
    site = serializers.CharField(source="site.code", read_only=True)
    stated_total = AmountField("stated_total")
    computed_total = AmountField("computed_total")
    lines = OrderLineSerializer(many=True, read_only=True)

    class Meta:
        model = Order
        fields = (
            "id", "external_id", "account", "site", "status", "fulfillment", "currency", "is_business", "stated_total",
            "computed_total", "ordered_at", "ordered_on", "source_updated_at", "ship_by", "lines",
        )  # fmt: skip


class OrderViews(Facts):
    """Orders, oldest row first; ask with `changed_from` for what is new."""

    area, version_field = "orders", "source_updated_at"
    serializer_class = OrderSerializer
    filterset_class = OrderFilter
    queryset: QuerySet[Any] = Order.objects.select_related("account", "site").prefetch_related(
        Prefetch("lines", OrderLine.objects.select_related("sku").prefetch_related("charges").order_by("pk"))
    )


ROUTES = (("orders", OrderViews),)
