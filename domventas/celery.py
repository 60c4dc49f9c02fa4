"""The Celery application: settings from Django, tasks from every app's `tasks` module."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "domventas.settings")

app = Celery("domventas")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
