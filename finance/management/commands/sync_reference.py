"""Bring shipped fee kinds, rules, payment terms and tolerances up to date for every client, after a release."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from domventas.core.models import Client
from domventas.core.tenancy import acting_for
from finance.services.reference import Synced, channels_of, sync_reference
from marketplaces.models import Account


class Command(BaseCommand):
    """`manage.py sync_reference [--client C] [--json]`."""

    help = "Loads the marketplaces' shipped fee kinds and rules; rows that staff wrote or changed are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which client; machine-readable or not."""
        parser.add_argument("--client", help="slug of the client; default all active ones")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync each client's channels."""
        clients = Client.objects.filter(active=True).order_by("slug")
        if options["client"]:
            clients = clients.filter(slug=options["client"])
            if not clients:
                raise CommandError(f"There is no active client {options['client']!r}.")
        result: dict[str, dict[str, dict[str, int]]] = {}
        for client in clients:
            with acting_for(client, actor="sync_reference"):
                channels = channels_of(Account.objects.values_list("channel", flat=True))
                done: dict[str, Synced] = {channel: sync_reference(channel) for channel in channels}
            result[client.slug] = {channel: asdict(synced) for channel, synced in done.items()}
            for channel, synced in done.items():
                self.stderr.write(f"{client.slug} {channel}: {synced.created} new, {synced.updated} changed")
        if options["json"]:
            self.stdout.write(json.dumps({"clients": result}))
