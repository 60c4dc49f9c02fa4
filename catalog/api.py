"""SKUs, listings and the offers nobody has mapped yet, for machines."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now as clock
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Listing, Sku, UnmappedItem
from catalog.services import mapping
from domventas.core.api.views import AmountField, Facts, Input
from domventas.core.errors import DomventasError


class SkuSerializer(serializers.ModelSerializer[Sku]):
    """One article as we keep it."""

    brand = serializers.CharField(source="product.brand.name", read_only=True)
    product = serializers.CharField(source="product.title", read_only=True)

    class Meta:
        model = Sku
        fields = ("id", "code", "name", "product", "brand", "status")


class SkuViews(Facts):
    """SKUs by code."""

    area = "catalog"
    serializer_class = SkuSerializer
    filterset_fields = ("code", "status")
    queryset: QuerySet[Any] = Sku.objects.select_related("product__brand")


class ListingFilter(filters.FilterSet):
    """Which listings."""

    account = filters.CharFilter("account__code")
    site = filters.CharFilter("site__code")
    sku = filters.CharFilter("sku__code")

    class Meta:
        model = Listing
        fields = ("account", "site", "sku", "status", "offer_ref")


class ListingSerializer(serializers.ModelSerializer[Listing]):
    """One offer at an account and site, as it stands there."""

    account = serializers.CharField(source="account.code", read_only=True)
    site = serializers.CharField(source="site.code", read_only=True)
    sku = serializers.CharField(source="sku.code", default=None, allow_null=True, read_only=True)
    live_price = AmountField("live_price")

    class Meta:
        model = Listing
        fields = (
            "id", "account", "site", "offer_ref", "sku", "seller_sku", "product_ref", "title", "fulfillment",
            "pack_factor", "status", "live_price", "live_quantity", "seen_at",
        )  # fmt: skip


class ListingViews(Facts):
    """Listings."""

    area = "catalog"
    serializer_class = ListingSerializer
    filterset_class = ListingFilter
    queryset: QuerySet[Any] = Listing.objects.select_related("account", "site", "sku")


class UnmappedSerializer(serializers.ModelSerializer[UnmappedItem]):
    """An offer that belongs to none of our SKUs yet, with the SKU it may be."""

    account = serializers.CharField(source="account.code", read_only=True)
    sku = serializers.CharField(source="sku.code", default=None, allow_null=True, read_only=True)
    candidate = serializers.CharField(source="candidate.code", default=None, allow_null=True, read_only=True)

    class Meta:
        model = UnmappedItem
        fields = (
            "id", "account", "offer_ref", "seller_sku", "product_ref", "title", "state", "sku", "candidate",
            "candidate_reason", "first_seen_at", "last_seen_at",
        )  # fmt: skip


class MapSerializer(Input):
    """Which SKU the offer is."""

    sku = serializers.CharField(max_length=80)


class MappedSerializer(serializers.Serializer[Any]):
    """How many unmapped items are settled by it."""

    settled = serializers.IntegerField()


class UnmappedViews(Facts):
    """Offers somebody sold that nobody has mapped."""

    area, version_field = "catalog", "state"
    serializer_class = UnmappedSerializer
    filterset_fields = ("state", "offer_ref", "seller_sku")
    queryset: QuerySet[Any] = UnmappedItem.objects.select_related("account", "sku", "candidate")

    @extend_schema(request=MapSerializer, responses=MappedSerializer)
    @action(detail=True, methods=["post"])
    def map(self, request: Request, pk: str = "") -> Response:
        """Say which SKU the offer is; held orders are released."""
        item, given = self.fresh(request), MapSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        sku = Sku.objects.filter(code=given.validated_data["sku"]).first()
        if sku is None:
            raise DomventasError(f"There is no SKU {given.validated_data['sku']}.")
        settled = mapping.map_item(item, sku=sku, actor=str(request.user), now=clock())
        return Response({"settled": settled})

    @extend_schema(request=None, responses=UnmappedSerializer)
    @action(detail=True, methods=["post"])
    def ignore(self, request: Request, pk: str = "") -> Response:
        """Say that the offer is none of ours; its later lines are not held."""
        item = self.fresh(request)
        mapping.ignore_item(item, actor=str(request.user), now=clock())
        item.refresh_from_db()
        return Response(self.get_serializer(item).data)


ROUTES = (("skus", SkuViews), ("listings", ListingViews), ("unmapped-items", UnmappedViews))
