"""`manage.py docs`: writes the tables of the documentation that follow from the code."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.ops import generated


class Command(BaseCommand):
    """Writes what is stale; with --check it only says so, and fails."""

    help = "Writes the generated tables of the documentation."

    def add_arguments(self, parser: CommandParser) -> None:
        """Option: --check."""
        parser.add_argument("--check", action="store_true", help="fail when a page is stale, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write or check. Raises: CommandError: --check found a stale page."""
        if options["check"]:
            if names := generated.stale():
                raise CommandError(f"stale, run `manage.py docs`: {', '.join(names)}")
            return
        for name in generated.write():
            self.stdout.write(f"written: {name}")
