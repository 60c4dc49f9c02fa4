"""Django's migrate, as the owner of the tables unless told otherwise."""

from __future__ import annotations

from django.core.management.base import CommandParser
from django.core.management.commands import migrate


class Command(migrate.Command):
    """`manage.py migrate`; the walls are put right afterwards."""

    def add_arguments(self, parser: CommandParser) -> None:
        """The application's own role may not change tables."""
        super().add_arguments(parser)
        parser.set_defaults(database="owner")
