"""The root of the REST API: every app's `api.ROUTES` under /api/v1/, the token's own page, and the description."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView

from domventas.core.api import description  # noqa: F401  # tells the description of tokens
from domventas.core.api.problems import problem

APPS: Final = ("marketplaces", "catalog", "orders", "finance", "tickets", "reports")


class MeSerializer(serializers.Serializer[Any]):
    """Who the token is."""

    client = serializers.SlugField()
    name = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


class Me(APIView):
    """The token that asks."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=MeSerializer)
    def get(self, request: Request) -> Response:
        """For whom it asks, what it may, and until when."""
        token: Any = request.auth
        told = {"client": token.client.slug, "name": token.name, "scopes": token.scopes, "expires_at": token.expires_at}
        return Response(MeSerializer(told).data)


@csrf_exempt
def nowhere(request: HttpRequest, rest: str) -> HttpResponse:
    """An address of the API that does not exist, told as machines read it."""
    return problem(request, 404, "There is nothing at this address.")


def router() -> SimpleRouter:
    """Every app's views."""
    made = SimpleRouter(trailing_slash=False)
    for app in APPS:
        if find_spec(f"{app}.api"):
            for name, views in import_module(f"{app}.api").ROUTES:
                made.register(name, views, basename=name)
    return made


urlpatterns = [
    path("v1/schema", SpectacularAPIView.as_view(), name="schema"),
    path("v1/docs", SpectacularSwaggerSplitView.as_view(url_name="api:schema"), name="docs"),
    path("v1/me", Me.as_view(), name="me"),
    path("v1/", include(router().urls)),
    re_path(r"(?P<rest>.*)", nowhere),
]
