"""What was paid, what is owed and what differs, for machines."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers

from domventas.core.api.filters import MomentFilter
from domventas.core.api.views import AmountField, Facts
from finance.models import Discrepancy, Receivable, Settlement, SettlementLine


class SettlementFilter(filters.FilterSet):
    """Which settlements."""

    account = filters.CharFilter("account__code")
    period_from = MomentFilter("period_end", "gte")

    class Meta:
        model = Settlement
        fields = ("account", "status", "currency", "settlement_ref")


class SettlementSerializer(serializers.ModelSerializer[Settlement]):
    """One statement; `difference` = header − lines, zero unless it is inconsistent."""

    account = serializers.CharField(source="account.code", read_only=True)
    header_total = AmountField("header_total")
    lines_total = AmountField("lines_total")
    difference = AmountField("difference")

    class Meta:
        model = Settlement
        fields = (
            "id", "settlement_ref", "account", "revision", "status", "currency", "period_start", "period_end",
            "paid_on", "header_total", "lines_total", "difference", "line_count", "loaded_at",
        )  # fmt: skip


class SettlementViews(Facts):
    """Settlements."""

    area, version_field = "finance", "digest"
    serializer_class = SettlementSerializer
    filterset_class = SettlementFilter
    queryset: QuerySet[Any] = Settlement.objects.select_related("account")


class LineFilter(filters.FilterSet):
    """Which lines."""

    account = filters.CharFilter("settlement__account__code")

    class Meta:
        model = SettlementLine
        fields = ("account", "settlement_ref", "order_ref", "kind", "state")


class SettlementLineSerializer(serializers.ModelSerializer[SettlementLine]):
    """One money line, signed as seen by us; reversed ones and reversals of later revisions are among them."""

    settlement = serializers.IntegerField(source="settlement_id", read_only=True)
    amount = AmountField("amount")
    net_amount = AmountField("net_amount")
    tax_amount = AmountField("tax_amount")

    class Meta:
        model = SettlementLine
        fields = (
            "id", "settlement", "settlement_ref", "line_key", "ordinal", "revision", "reverses", "reversed_in", "event",
            "kind", "money_class", "raw_type", "amount", "net_amount", "tax_amount", "posted_at", "order_ref",
            "order_line_ref", "refund_ref", "seller_sku", "site", "quantity", "state", "cause",
        )  # fmt: skip


class LineViews(Facts):
    """Settlement lines; the four states of a settlement's lines sum to its header."""

    area = "finance"
    serializer_class = SettlementLineSerializer
    filterset_class = LineFilter
    queryset: QuerySet[Any] = SettlementLine.objects.all()


class DiscrepancyFilter(filters.FilterSet):
    """Which discrepancies."""

    account = filters.CharFilter("account__code")

    class Meta:
        model = Discrepancy
        fields = ("account", "state", "cause", "kind", "order_ref")


class DiscrepancySerializer(serializers.ModelSerializer[Discrepancy]):
    """One thing that is wrong with money; `amount` = paid − expected."""

    account = serializers.CharField(source="account.code", read_only=True)
    amount = AmountField("amount")
    expected = AmountField("expected")
    actual = AmountField("actual")

    class Meta:
        model = Discrepancy
        fields = (
            "id", "account", "cause", "kind", "event", "site", "order_ref", "line_ref", "seller_sku", "expected",
            "actual", "amount", "happened_on", "claim_until", "state", "note", "found_at",
        )  # fmt: skip


class DiscrepancyViews(Facts):
    """Discrepancies."""

    area = "finance"
    serializer_class = DiscrepancySerializer
    filterset_class = DiscrepancyFilter
    queryset: QuerySet[Any] = Discrepancy.objects.select_related("account")


class ReceivableFilter(filters.FilterSet):
    """Which receivables."""

    order = filters.CharFilter("line__order__external_id")
    due_to = filters.DateFilter("due_on", "lte")

    class Meta:
        model = Receivable
        fields = ("state", "currency", "order")


class ReceivableSerializer(serializers.ModelSerializer[Receivable]):
    """What a marketplace owes for one shipped order line, in exactly one state."""

    order = serializers.CharField(source="line.order.external_id", read_only=True)
    line = serializers.CharField(source="line.external_id", read_only=True)
    shipped_value = AmountField("shipped_value")
    expected_net = AmountField("expected_net")
    paid = AmountField("paid")
    open = AmountField("open")

    class Meta:
        model = Receivable
        fields = (
            "id", "order", "line", "state", "reason", "shipped_value", "expected_net", "paid", "open", "shipped_on",
            "release_on", "due_on", "settled_on",
        )  # fmt: skip


class ReceivableViews(Facts):
    """Receivables."""

    area = "finance"
    serializer_class = ReceivableSerializer
    filterset_class = ReceivableFilter
    queryset: QuerySet[Any] = Receivable.objects.select_related("line__order")


ROUTES = (
    ("settlements", SettlementViews),
    ("settlement-lines", LineViews),
    ("discrepancies", DiscrepancyViews),
    ("receivables", ReceivableViews),
)
