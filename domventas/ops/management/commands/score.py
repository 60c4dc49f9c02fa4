"""`manage.py score`: holds findings and reconciliation against the sandbox's truth."""

from __future__ import annotations

import json
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.models import Client
from domventas.ops import score


class Command(BaseCommand):
    """Precision and recall per fault, for one client whose accounts live in the running sandbox."""

    help = "Holds what was found against the sandbox's truth."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: --client, --sandbox, --now, --json."""
        parser.add_argument("--client", default="dom-ventas")
        parser.add_argument("--sandbox", default="", help="URL of the running sandbox; default: SANDBOX_URL")
        parser.add_argument("--now", help="the moment to judge at, ISO 8601; default: now")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        """Score and print. Raises: CommandError: unknown client or moment, or no sandbox answers."""
        now = parse_datetime(options["now"]) if options["now"] else clock()
        client = Client.objects.filter(slug=options["client"]).first()
        if client is None or now is None or now.tzinfo is None:
            raise CommandError("needs an existing --client, and --now as a moment with its zone")
        try:
            rows = score.truth(options["sandbox"] or settings.SANDBOX_URL)
        except requests.RequestException as error:
            raise CommandError(f"no sandbox answers: {error}") from None
        with tenancy.acting_for(client, actor="command:score"):
            result = score.score(rows, now=now)
        if options["json"]:
            self.stdout.write(json.dumps(result))
            return
        for group in ("reconciliation", "types"):
            for name, tally in result[group].items():
                self.stdout.write(
                    f"{name:<22} planted {tally['planted']:>4}  found {tally['found']:>4}  "
                    f"precision {tally['precision']:.4f}  recall {tally['recall']:.4f}"
                )
