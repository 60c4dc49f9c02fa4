"""`manage.py reprocess`: rebuilds domain rows from raw documents."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.core.tenancy import acting_for
from marketplaces.management.choices import add_choices, chosen_clients, moment, now_of
from marketplaces.services.claims import Busy
from marketplaces.services.reprocess import Reprocessed, reprocess
from marketplaces.services.sync import accounts


class Command(BaseCommand):
    """Reads the archive again through the same readers; rows that are already right stay untouched."""

    help = "Rebuilds orders, offers, settlements and transactions from the raw documents."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: which client, account and flow; documents from when; --json."""
        add_choices(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Reprocess and print the counts."""
        total = Reprocessed()
        known = 0
        for client in chosen_clients(options):
            with acting_for(client, actor="reprocess"):
                found = accounts(options["account"])
                known += len(found)
                try:
                    done = reprocess(
                        found,
                        now=now_of(options),
                        flow=options["flow"],
                        since=moment(options["since"]),
                        told=self.stderr.write,
                    )
                except Busy as error:
                    raise CommandError(error.message) from None
            for name, count in asdict(done).items():
                setattr(total, name, getattr(total, name) + count)
        if not known:
            raise CommandError("There is no such account.")
        counts = asdict(total)
        self.stdout.write(
            json.dumps(counts) if options["json"] else ", ".join(f"{count} {name}" for name, count in counts.items())
        )
