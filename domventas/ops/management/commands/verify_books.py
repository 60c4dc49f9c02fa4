"""`manage.py verify_books`: holds every rule of the books against every client's rows."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.core import books, tenancy
from marketplaces.management.choices import chosen_clients


class Command(BaseCommand):
    """`manage.py verify_books [--client C] [--json]`; fails when a rule is broken."""

    help = "Checks every invariant of money and orders."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which client, and the form of the answer."""
        parser.add_argument("--client", default="", help="short name of a client; without it, all active ones")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check and print. Raises: CommandError: a rule is broken, or there is no such client."""
        rows = []
        for client in chosen_clients(options):
            with tenancy.acting_for(client, actor="ops"):
                for one in books.verify():
                    rows.append({"client": client.slug, "name": one.name, "ok": one.ok, "rows": one.rows})
                    if not options["json"] or not one.ok:
                        told = "ok" if one.ok else f"{one.rows} rows, such as {', '.join(one.examples)}"
                        self.stderr.write(f"{client.slug}: {one.name}: {told}")
        good = all(row["ok"] for row in rows)
        if options["json"]:
            self.stdout.write(json.dumps({"ok": good, "checks": rows}))
        if not good:
            raise CommandError("The books do not agree.")
