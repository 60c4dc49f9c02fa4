"""Addresses of the pages about connections."""

from __future__ import annotations

from django.urls import path

from marketplaces.pages import connect, connect_account, monitor, pushes, raw, runbooks, stream, subscriptions

app_name = "marketplaces"
urlpatterns = [
    path("system/connect/", connect.connect, name="connect"),
    path("system/connect/<int:pk>/", connect_account.show, name="connect_account"),
    path("system/monitor/", monitor.show, name="monitor"),
    path("system/subscribe/<int:pk>/", subscriptions.subscribe, name="subscribe"),
    path("system/monitor/<int:pk>/", stream.steer, name="steer"),
    path("system/monitor/<int:pk>/replay/", stream.ask_replay, name="replay"),
    path("system/pushes/", pushes.show, name="pushes"),
    path("system/pushes/change/", pushes.change, name="push_change"),
    path("system/raw/<int:pk>/", raw.show, name="raw"),
    path("system/raw/<int:pk>/file/", raw.download, name="raw_file"),
    path("system/runbooks/", runbooks.show, name="runbooks"),
    path("system/runbooks/<slug:name>/", runbooks.show, name="runbook"),
]
