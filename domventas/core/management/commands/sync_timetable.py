"""`manage.py sync_timetable`: brings beat's rows in line with the declared jobs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from domventas.core.jobs import timetable


class Command(BaseCommand):
    """Creates what is new, keeps staff's switches and schedules, disables what no code declares."""

    help = "Brings beat's timetable in line with the declared jobs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Option: --json."""
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync and print the counts."""
        done = asdict(timetable.sync())
        text = json.dumps(done) if options["json"] else ", ".join(f"{key} {value}" for key, value in done.items())
        self.stdout.write(text)
