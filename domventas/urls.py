"""All addresses: the admin, and each app's pages under names of their own."""

from __future__ import annotations

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from domventas import health
from marketplaces.pages import inbox

APPS = ("marketplaces", "catalog", "orders", "finance", "tickets", "reports")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include(("domventas.api", "api"))),
    path("sign-in/", include("domventas.core.signin.urls")),
    path("health", health.live, name="health"),
    path("health/ready", health.ready, name="ready"),
    path("in/<str:key>", inbox.receive, name="inbox"),
    *(path("", include(f"{app}.urls")) for app in APPS if find_spec(f"{app}.urls")),
]
