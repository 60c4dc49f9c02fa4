"""`manage.py restore_drill`: restores a backup into a throw-away database and proves that it is whole."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.ops import backup


class Command(BaseCommand):
    """`manage.py restore_drill PATH [--json]`; PATH is a dump, or a folder whose newest is taken."""

    help = "Restores a backup beside the live database, counts, checks books, walls and keys, and drops it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which backup, and the form of the answer."""
        parser.add_argument("path", type=Path, help="a dump, or a folder of them")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Drill. Raises: CommandError: there is no backup, or one could not live from it."""
        path: Path | None = options["path"]
        if path and path.is_dir():
            path = backup.newest(path)
        if path is None or not path.exists():
            raise CommandError("There is no backup there.")
        try:
            done = backup.restore_drill(path)
        except backup.BackupFailed as error:
            raise CommandError(error.message) from error
        size = path.stat().st_size / 1e6
        for problem in done.problems:
            self.stderr.write(problem)
        if options["json"]:
            self.stdout.write(json.dumps({"file": path.name, "mb": round(size, 1), "ok": done.ok, **asdict(done)}))
        else:
            told = f"{path.name}: {size:,.1f} MB restored in {done.restore_seconds:,.1f} s, {done.rows:,} rows"
            self.stdout.write(f"{told} in {done.tables} tables; {'whole' if done.ok else 'NOT whole'}")
        if not done.ok:
            raise CommandError(f"Not whole: {done.differences or done.leaks or done.problems}")
