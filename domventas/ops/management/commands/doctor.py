"""`manage.py doctor`: versions, servers, walls, keys, freshness; what is wrong, and what to do."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now as clock

from domventas.ops import doctor


class Command(BaseCommand):
    """`manage.py doctor [--only NAME ...] [--json]`; fails when something serious is wrong."""

    help = "Examines this installation."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Which examinations, and the form of the answer."""
        names = [look.__name__ for look in doctor.EXAMINATIONS]
        parser.add_argument("--only", nargs="+", choices=names, help="these examinations only")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Examine and print. Raises: CommandError: something serious is wrong."""
        found = doctor.examine(now=clock(), only=options["only"])
        ill = [one for one in found if not one.ok and one.serious]
        if options["json"]:
            self.stdout.write(json.dumps({"ok": not ill, "checks": [asdict(one) for one in found]}))
        else:
            for one in found:
                mark = "ok  " if one.ok else ("ILL " if one.serious else "look")
                self.stdout.write(f"{mark} {one.name:<11} {one.told}")
        if ill:
            raise CommandError("; ".join(f"{one.name}: {one.told}" for one in ill))
