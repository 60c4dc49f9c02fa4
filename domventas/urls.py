"""All addresses: the admin, and each app's pages under names of their own."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

APPS = ("marketplaces", "catalog", "orders", "finance", "tickets", "reports")


def health(request: HttpRequest) -> HttpResponse:
    """Says that the web process answers; says nothing else to strangers."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("admin/", admin.site.urls),
    path("health", health, name="health"),
    *(path("", include(f"{app}.urls")) for app in APPS if find_spec(f"{app}.urls")),
]
