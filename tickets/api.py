"""Tickets for machines: to read, and to move as people do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now as clock
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from domventas.core.api.filters import MomentFilter
from domventas.core.api.views import AmountField, Facts, Input
from tickets.models import Ticket
from tickets.services import workflow

BY_PEOPLE = [(code, label) for code, label in Ticket.Resolution.choices if code != Ticket.Resolution.GONE]


class TicketFilter(filters.FilterSet):
    """Which tickets."""

    account = filters.CharFilter("account__code")
    changed_from = MomentFilter("changed_at", "gte")

    class Meta:
        model = Ticket
        fields = ("account", "state", "severity", "type")


class TicketSerializer(serializers.ModelSerializer[Ticket]):
    """One thing to decide. `amounts` is money at stake by currency; `impact_day` is contribution lost per day."""

    account = serializers.CharField(source="account.code", default=None, allow_null=True, read_only=True)
    owner = serializers.EmailField(source="assignee.email", default=None, allow_null=True, read_only=True)
    impact_day = AmountField("impact_day", "base_currency")
    amounts = serializers.DictField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = Ticket
        fields = (
            "number", "type", "title", "cause", "action", "severity", "state", "resolution", "account", "owner",
            "finding_count", "amounts", "impact_day", "deadline_at", "snoozed_until", "opened_at", "changed_at",
            "resolved_at",
        )  # fmt: skip


class WhySerializer(Input):
    """A reason people can read later."""

    reason = serializers.CharField(max_length=400)


class ResolveSerializer(WhySerializer):
    """How it ended."""

    how = serializers.ChoiceField(choices=BY_PEOPLE)


class SnoozeSerializer(WhySerializer):
    """Until when it rests."""

    until = serializers.DateTimeField()


class TicketViews(Facts):
    """Tickets by number."""

    area, version_field, lookup_field = "tickets", "changed_at", "number"
    lookup_value_regex = r"[0-9]{1,9}"
    serializer_class = TicketSerializer
    filterset_class = TicketFilter
    queryset: QuerySet[Any] = Ticket.objects.select_related("account", "assignee")

    @extend_schema(request=ResolveSerializer, responses=TicketSerializer)
    @action(detail=True, methods=["post"])
    def resolve(self, request: Request, number: str = "") -> Response:
        """Close it with a reason."""
        return self._move(request, ResolveSerializer, workflow.resolve)

    @extend_schema(request=SnoozeSerializer, responses=TicketSerializer)
    @action(detail=True, methods=["post"])
    def snooze(self, request: Request, number: str = "") -> Response:
        """Let it rest until a moment."""
        return self._move(request, SnoozeSerializer, workflow.snooze)

    @extend_schema(request=WhySerializer, responses=TicketSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, number: str = "") -> Response:
        """Open it again."""
        return self._move(request, WhySerializer, workflow.reopen)

    def _move(self, request: Request, form: type[WhySerializer], step: Callable[..., None]) -> Response:
        ticket, given = self.fresh(request), form(data=request.data)
        given.is_valid(raise_exception=True)
        step(ticket, **given.validated_data, actor=str(request.user), now=clock())
        response = Response(self.get_serializer(ticket).data)
        response["ETag"] = self.version(ticket)
        return response


ROUTES = (("tickets", TicketViews),)
