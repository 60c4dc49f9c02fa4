"""Addresses of the report pages."""

from __future__ import annotations

from django.urls import path

from reports.pages import today

app_name = "reports"
urlpatterns = [path("", today.show, name="today")]
