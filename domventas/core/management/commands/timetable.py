"""`manage.py timetable`: the scheduled jobs as declared, and what beat has."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django_celery_beat.models import PeriodicTask

from domventas.core.jobs import declare, timetable


class Command(BaseCommand):
    """Prints a line per row: name, cadence, queue, and the capability it needs."""

    help = "Prints the timetable as declared and what beat has of it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Option: --json."""
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print rows and counts."""
        rows = [
            {"name": job.name, "cadence": job.cadence, "queue": job.queue, "needs": job.needs}
            for job in declare.rows().values()
        ]
        enabled = PeriodicTask.objects.filter(enabled=True, name__in=declare.rows()).count()
        strays = timetable.strays()
        if options["json"]:
            self.stdout.write(
                json.dumps({"declared": len(rows), "enabled": enabled, "strays": len(strays), "rows": rows})
            )
            return
        for row in rows:
            self.stdout.write(f"{row['cadence']:<16} {row['queue']:<9} {row['name']} {row['needs']}".rstrip())
        self.stdout.write(f"{len(rows)} declared, {enabled} enabled in beat, {len(strays)} strays")
