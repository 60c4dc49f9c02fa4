"""Compares the walls between clients with the models and puts right what differs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from domventas.core.walls import sync_walls


class Command(BaseCommand):
    """Prints each statement it carried out; with --check it fails if any was needed."""

    help = "Put right row-level security, grants, composite keys and audit triggers."

    def add_arguments(self, parser: CommandParser) -> None:
        """--check for monitoring."""
        parser.add_argument("--check", action="store_true", help="end with status 1 if something had to be put right")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run as owner."""
        done = sync_walls()
        self.stdout.write("\n".join([*done, f"{len(done)} statements"]))
        if options["check"] and done:
            raise SystemExit(1)
