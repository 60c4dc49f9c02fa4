"""How a worker leaves: SIGTERM lets running work end, but not for longer than a deploy may wait."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from celery.signals import worker_shutting_down
from django.conf import settings


def connect() -> None:
    """Called once, where the Celery application is made."""
    worker_shutting_down.connect(_bounded, dispatch_uid="bounded shutdown")


def _bounded(how: str = "", **kwargs: Any) -> None:
    """Celery's warm shutdown waits as long as work goes on; after a while we cancel it, and the row brings it back."""
    if how == "Warm":
        timer = threading.Timer(settings.JOB_SHUTDOWN_AFTER, os.kill, (os.getpid(), signal.SIGQUIT))
        timer.daemon = True
        timer.start()
