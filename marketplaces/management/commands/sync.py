"""`manage.py sync`: pulls now, in this process, without Celery."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.core.tenancy import acting_for
from marketplaces.management.choices import add_choices, chosen_clients, moment, now_of
from marketplaces.services.sync import Synced, accounts, sync


class Command(BaseCommand):
    """Reads every flow of every account, or of those named; what fails is said in words and stops nothing else."""

    help = "Pulls orders, offers, settlements and transactions now, in this process."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: which client, account and flow; from when; --json."""
        add_choices(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Sync, print a line per stream; exit 1 if one failed."""
        now, since = now_of(options), moment(options["since"])
        runs: list[Synced] = []
        known = 0
        for client in chosen_clients(options):
            with acting_for(client, actor="sync"):
                found = accounts(options["account"])
                known += len(found)
                for done in sync(found, now=now, flow=options["flow"], since=since, told=self._told):
                    runs.append(done)
                    self._line(done, quiet=options["json"])
        if not known:
            raise CommandError("There is no such account.")
        failed = [run.pulled for run in runs if run.pulled.state == "failed"]
        if options["json"]:
            self.stdout.write(json.dumps({"runs": [_row(run) for run in runs]}))
        if failed:
            self.stderr.write("\n".join(f"{x.account} {x.flow}: {x.error}" for x in failed))
            sys.exit(1)

    def _told(self, text: str) -> None:
        self.stderr.write(text)

    def _line(self, done: Synced, *, quiet: bool) -> None:
        pulled = done.pulled
        line = (
            f"{pulled.account:<16} {pulled.flow:<13} {pulled.state:<8} {pulled.tally.pages:>5} pages"
            f" {pulled.tally.records:>7} records {pulled.tally.written:>7} written {pulled.gaps:>3} gaps"
            f" {done.seconds:>7.1f} s"
        )
        (self.stderr if quiet else self.stdout).write(f"{line} {pulled.error}".rstrip())


def _row(run: Synced) -> dict[str, Any]:
    pulled = run.pulled
    return {
        "account": pulled.account,
        "flow": pulled.flow,
        "state": pulled.state,
        "pages": pulled.tally.pages,
        "records": pulled.tally.records,
        "written": pulled.tally.written,
        "quarantined": pulled.tally.quarantined,
        "windows": pulled.windows,
        "gaps": pulled.gaps,
        "seconds": round(run.seconds, 2),
        "error": pulled.error,
    }
