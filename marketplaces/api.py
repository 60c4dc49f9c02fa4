"""Accounts and how fresh their data is, for machines."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now as clock
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from domventas.core.api.views import Facts, Strict
from marketplaces.models import Account
from marketplaces.selectors import monitor


class AccountSerializer(serializers.ModelSerializer[Account]):
    """One seller account or shop; its secrets are never told."""

    class Meta:
        model = Account
        fields = ("id", "code", "name", "channel", "external_id", "environment", "status", "status_note")


class AccountViews(Facts):
    """Accounts."""

    area = "sync"
    serializer_class = AccountSerializer
    filterset_fields = ("code", "channel", "status", "environment")
    queryset: QuerySet[Any] = Account.objects.all()


class StreamSerializer(serializers.Serializer[Any]):
    """One flow of one account: complete up to when, against how old it may be [s]."""

    account = serializers.CharField()
    channel = serializers.CharField()
    flow = serializers.CharField()
    health = serializers.ChoiceField(choices=[health.value for health in monitor.Health])
    complete_until = serializers.DateTimeField(allow_null=True)
    age_seconds = serializers.SerializerMethodField()
    target_seconds = serializers.SerializerMethodField()
    gaps = serializers.IntegerField()
    failures = serializers.IntegerField()
    quarantined = serializers.IntegerField()
    last_error = serializers.CharField()

    def get_age_seconds(self, row: monitor.Row) -> int | None:
        """None before the first complete reading."""
        return None if row.age is None else int(row.age.total_seconds())

    def get_target_seconds(self, row: monitor.Row) -> int:
        """Older than this is late."""
        return int(row.target.total_seconds())


class StreamViews(Strict, viewsets.ViewSet):
    """What the integration monitor shows."""

    area = "sync"

    @extend_schema(responses=StreamSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Every flow of every account."""
        return Response(StreamSerializer(monitor.rows(now=clock()), many=True).data)


ROUTES = (("accounts", AccountViews), ("streams", StreamViews))
