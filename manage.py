#!/usr/bin/env python3
"""Django's command line; starts or joins this checkout's own servers for commands that need a database."""

from __future__ import annotations

import os
import sys

WITHOUT_DATABASE = {
    "check", "compilemessages", "diffsettings", "help", "makemessages", "makemigrations", "sandbox",
    "startapp", "version", "--help", "--version",
}  # fmt: skip

GIVEN = {"DATABASE_URL", "DATABASE_URL_FILE"}  # somebody's own servers


def main() -> None:
    """Run one command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "domventas.settings")
    if not GIVEN & os.environ.keys() and not WITHOUT_DATABASE & set(sys.argv[1:2] or ["help"]):
        import devservers

        if sys.argv[1] == "demo" and "--fresh" in sys.argv:
            devservers.destroy()
        devservers.serve("bench" if sys.argv[1] == "bench" else "demo")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
