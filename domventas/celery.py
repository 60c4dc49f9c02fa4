"""The Celery application: settings from Django, tasks from every app's `tasks` module."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "domventas.settings")
if not {"DATABASE_URL", "DATABASE_URL_FILE"} & os.environ.keys() and "celery" in Path(sys.argv[0]).parts[-2:]:
    import devservers  # `celery -A domventas …` on this checkout; whoever only imports the app starts nothing

    devservers.serve()

from domventas.core.jobs import shutdown

app = Celery("domventas")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
shutdown.connect()
