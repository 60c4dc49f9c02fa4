"""`manage.py verify_audit`: recomputes the chain of seals and names what was touched."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now as clock

from domventas.core.audit import seals
from domventas.core.models import Client
from domventas.core.tenancy import acting_for

#: Problems printed per client.
SHOWN = 20


class Command(BaseCommand):
    """Ends with status 1 if one entry or seal of one client is not as it was sealed."""

    help = "Recomputes the seals of the audit and names the first broken seal and entry."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options."""
        parser.add_argument("--client", default="", help="short name of a client; without it, all of them")
        parser.add_argument("--expect", default="", help="a head noted earlier (number:digest), of this client")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check client by client. Raises: CommandError: something was touched, or there is no such client."""
        if options["expect"] and not options["client"]:
            raise CommandError("A head belongs to one client: name it with --client.")
        clients = Client.objects.order_by("pk")
        chosen = list(clients.filter(slug=options["client"]) if options["client"] else clients)
        if not chosen:
            raise CommandError("There is no such client.")
        told, first = [], ""
        for client in chosen:
            with acting_for(client, actor="command:verify_audit"):
                done = seals.verify(now=clock(), expect=options["expect"])
            told.append(self._row(client, done))
            if not options["json"]:
                self._print(client, done)
            if done.problems and not first:
                first = f"{client.slug}: {done.problems[0].text}"
        if options["json"]:
            self.stdout.write(json.dumps({"clients": told}))
        if first:
            raise CommandError(f"The audit was touched. {first}")

    def _print(self, client: Client, done: seals.Verified) -> None:
        self.stdout.write(
            f"{client.slug}: {done.entries} entries in {done.seals} seals ({done.retired} over their time),"
            f" {done.unsealed} not sealed yet; head {done.head}"
        )
        for problem in done.problems[:SHOWN]:
            self.stdout.write(f"  {problem.text}")

    def _row(self, client: Client, done: seals.Verified) -> dict[str, Any]:
        since = done.unsealed_since
        return {
            "client": client.slug,
            "seals": done.seals,
            "entries": done.entries,
            "retired": done.retired,
            "unsealed": done.unsealed,
            "unsealed_since": since.isoformat() if since else None,
            "head": done.head,
            "problems": [
                {"seal": x.seal, "entry": x.entry, "kind": x.kind, "text": x.text} for x in done.problems[:SHOWN]
            ],
        }
