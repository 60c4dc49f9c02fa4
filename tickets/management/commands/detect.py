"""`manage.py detect`: run the detectors now, in this process."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.models import Client
from tickets.registry import DETECTORS
from tickets.services import engine


class Command(BaseCommand):
    """Runs every detector, or one type, for one client or all active ones; prints counts per type."""

    help = "Runs the detectors now."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: --client, --type, --now, --json."""
        parser.add_argument("--client", help="slug; all active clients when left out")
        parser.add_argument("--type", help=f"one of {', '.join(DETECTORS)}")
        parser.add_argument("--now", help="the moment to judge at, ISO 8601; default: now")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run, add up over clients, print. Raises: CommandError for an unknown type, client or moment."""
        if options["type"] and options["type"] not in DETECTORS:
            raise CommandError(f"no ticket type {options['type']}; known: {', '.join(DETECTORS)}")
        now = parse_datetime(options["now"]) if options["now"] else clock()
        if now is None or now.tzinfo is None:
            raise CommandError("--now needs a moment with its zone, for example 2026-11-21T06:00:00Z")
        clients = Client.objects.filter(active=True)
        if options["client"]:
            clients = clients.filter(slug=options["client"])
            if not clients:
                raise CommandError(f"no active client {options['client']}")
        types: dict[str, dict[str, int]] = {}
        for client in clients:
            with tenancy.acting_for(client, actor="command:detect"):
                only = [options["type"]] if options["type"] else []
                for name, outcome in engine.run_all(now=now, only=only).items():
                    sums = types.setdefault(name, dict.fromkeys(COUNTS, 0))
                    for key in COUNTS:
                        sums[key] += getattr(outcome, key)
        if options["json"]:
            self.stdout.write(json.dumps({"types": types}))
            return
        for name, sums in types.items():
            self.stdout.write(f"{name}: " + ", ".join(f"{key} {value}" for key, value in sums.items()))


COUNTS = ("found", "opened", "updated", "resolved", "suppressed")
