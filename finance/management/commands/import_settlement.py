"""Book a settlement file that somebody was sent: the same path as by API, with the same result."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from domventas.core.models import Client
from domventas.core.money import quantum
from domventas.core.tenancy import acting_for
from finance.models import Settlement
from finance.selectors.settlements import is_balanced, sums_by_kind, unknown_kinds
from finance.services.settlement_files import FileRefused, import_file
from finance.services.settlements import Ingested
from marketplaces.models import Account


class Command(BaseCommand):
    """`manage.py import_settlement --account A FILE [--client C] [--json]`."""

    help = "Books a settlement file of any format the account's marketplace knows; the file is kept in any case."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which account of which client, and the file."""
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--account", required=True, help="code of the account")
        parser.add_argument("--client", help="slug of the client; needed where there are several")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and tell what was booked; exit code 1 and the reason when it was refused."""
        file: Path = options["file"]
        try:
            body = file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        with acting_for(_client(options["client"]), actor="import_settlement"):
            account = _account(options["account"])
            try:
                booked = import_file(account, body, name=file.name, now=timezone.now())
            except FileRefused as error:
                if options["json"]:
                    self.stdout.write(json.dumps({"refused": error.message, "raw_document": error.raw_id}))
                self.stderr.write(error.message)
                sys.exit(1)
            self._tell(booked, as_json=options["json"])

    def _tell(self, booked: Ingested, *, as_json: bool) -> None:
        settlement = Settlement.objects.get(pk=booked.settlement_id)
        balanced = is_balanced(settlement)
        what = "booked" if booked.changed else "already booked, nothing changed"
        self.stderr.write(f"Settlement {booked.settlement_ref}: {what}, {booked.line_count} lines.")
        if booked.difference:
            self.stderr.write(
                f"The header says {booked.header_total}, the lines {booked.lines_total} {booked.currency}:"
                f" {booked.difference} stand as unexplained."
            )
        facts = {
            "settlement": booked.settlement_ref,
            "currency": booked.currency,
            "lines": booked.line_count,
            "header_total": None if booked.header_total is None else _plain(booked.header_total, booked.currency),
            "lines_total": _plain(booked.lines_total, booked.currency),
            "difference": _plain(booked.difference, booked.currency),
            "balanced": balanced,
            "status": booked.status,
            "revision": booked.revision,
            "changed": booked.changed,
            "by_kind": {kind: _plain(amount, booked.currency) for kind, amount in sums_by_kind(settlement).items()},
            "unknown_kinds": dict(unknown_kinds(settlement)),
        }
        if as_json:
            self.stdout.write(json.dumps(facts))
            return
        for name, value in facts.items():
            self.stdout.write(f"{name}: {value}")


def _plain(amount: Decimal, currency: str) -> str:
    """With the currency's digits, or all it has where the source states finer ones."""
    cents = amount.quantize(quantum(currency))
    return f"{cents if cents == amount else amount.normalize():f}"


def _client(slug: str | None) -> Client:
    clients = Client.objects.filter(active=True)
    if slug:
        clients = clients.filter(slug=slug)
    found = list(clients.order_by("slug")[:2])
    if len(found) != 1:
        raise CommandError("Name the client with --client." if found else f"There is no active client {slug or ''}.")
    return found[0]


def _account(code: str) -> Account:
    account = Account.objects.filter(code=code).first()
    if account is None:
        known = ", ".join(Account.objects.order_by("code").values_list("code", flat=True))
        raise CommandError(f"There is no account {code!r}. Accounts: {known or 'none'}.")
    return account
