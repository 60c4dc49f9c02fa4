"""Load published exchange rates from a file, for all clients of this installation."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from finance.services.rates import BadRates, load_reference_rates, read_rates


class Command(BaseCommand):
    """`manage.py load_rates FILE --source ECB [--json]`."""

    help = "Loads a CSV of exchange rates: day, currency, rate; or the ECB's eurofxref-hist.csv."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, and who published it."""
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--source", required=True, help="who published the rates; stands beside every figure")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Load; the same file again changes nothing."""
        try:
            with options["file"].open(encoding="utf-8-sig", newline="") as lines:
                rows = read_rates(lines, source=options["source"])
        except (OSError, BadRates, UnicodeDecodeError) as error:
            raise CommandError(f"{options['file']}: {error}") from error
        new, changed = load_reference_rates(rows)
        self.stderr.write(f"{len(rows)} rates: {new} new, {changed} changed.")
        if options["json"]:
            self.stdout.write(json.dumps({"rates": len(rows), "new": new, "changed": changed}))
