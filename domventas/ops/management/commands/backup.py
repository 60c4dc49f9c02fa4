"""`manage.py backup`: one dump of everything, with a manifest beside it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now as clock

from domventas.ops import backup


class Command(BaseCommand):
    """`manage.py backup --to FOLDER [--keep N] [--drill] [--json]`; as the role ops (DATABASE_OPS_URL)."""

    help = "Dumps the database as ops and writes what the dump holds beside it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to and how many to keep."""
        parser.add_argument("--to", type=Path, required=True, help="the folder of the backups")
        parser.add_argument("--keep", type=int, default=0, help="remove all but so many; 0 keeps all")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Back up. Raises: CommandError: it failed."""
        try:
            made = backup.back_up(options["to"], now=clock())
        except backup.BackupFailed as error:
            raise CommandError(error.message) from error
        gone = backup.thin_out(options["to"], keep=options["keep"]) if options["keep"] > 0 else []
        if options["json"]:
            self.stdout.write(json.dumps({**asdict(made), "removed": gone}))
            return
        self.stdout.write(f"{made.file}: {made.size / 1e6:,.1f} MB, {sum(made.tables.values()):,} rows")
