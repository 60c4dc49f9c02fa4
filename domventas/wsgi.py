"""The web application, for gunicorn and runserver."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "domventas.settings")

LOOPBACK = {"127.0.0.1", "::1", ""}  # "" is a socket of this machine
django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Django's application; while secrets are the demo's, for this machine alone, wherever it listens."""
    if settings.LOOPBACK_ONLY and environ.get("REMOTE_ADDR", "") not in LOOPBACK:
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"The demo answers on its own machine only. Set SECRET_KEY and DATABASE_URL to serve others.\n"]
    return django(environ, start_response)
