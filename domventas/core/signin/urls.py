"""Addresses of signing in; outside every client."""

from __future__ import annotations

from django.urls import path

from domventas.core.signin import pages

app_name = "signin"
urlpatterns = [
    path("second/", pages.second, name="second"),
    path("enroll/", pages.enroll, name="enroll"),
    path("again/", pages.again, name="again"),
]
