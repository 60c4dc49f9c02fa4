"""Hold what was paid against what was expected, for one client or all."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from domventas.core.models import Client
from domventas.core.tenancy import acting_for
from domventas.core.times import NotAMoment, utc
from finance.selectors.receivables import sums_by_state
from finance.selectors.reconciliation import Totals, totals
from finance.services.reconcile import reconcile


class Command(BaseCommand):
    """`manage.py reconcile [--client C] [--since T] [--full] [--now T] [--json]`."""

    help = "Judges settlement lines and order lines that are new or changed; every deviation gets its cause."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which client, how much, and as of when."""
        parser.add_argument("--client", help="slug of the client; default all active ones")
        parser.add_argument("--since", help="order lines changed at or after this moment; default: the last run")
        parser.add_argument("--full", action="store_true", help="judge everything again")
        parser.add_argument("--now", help="the moment that decides what is overdue; default now")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Reconcile each client and print the counts of all of them."""
        now, since = _moment(options["now"]) or timezone.now(), _moment(options["since"])
        found: list[tuple[Totals, list[dict[str, Any]], int]] = []
        for client in _clients(options["client"]):
            with acting_for(client, actor="reconcile"):
                done = reconcile(now=now, since=since, full=options["full"])
                found.append((totals(), _receivables(), done.written))
            self.stderr.write(f"{client.slug}: {done.lines} order lines judged, {done.written} rows changed")
        facts = _facts(found)
        if options["json"]:
            self.stdout.write(json.dumps(facts))
            return
        for name, value in facts.items():
            self.stdout.write(f"{name}: {value}")


def _facts(found: list[tuple[Totals, list[dict[str, Any]], int]]) -> dict[str, Any]:
    states = [one for one, _receivable, _written in found]
    shares = [one.settled_share_by_value for one in states if one.settled_share_by_value is not None]
    return {
        "lines": sum(one.lines for one in states),
        "reconciled": sum(one.reconciled for one in states),
        "tolerated": sum(one.tolerated for one in states),
        "discrepancies": sum(one.discrepancies for one in states),
        "awaiting": sum(one.awaiting for one in states),
        "balanced": all(one.balanced for one in states),
        "settled_share_by_value": str(round(min(shares), 4)) if shares else None,
        "receivables": [row for _totals, rows, _written in found for row in rows],
        "written": sum(written for _totals, _rows, written in found),
    }


def _receivables() -> list[dict[str, Any]]:
    return [
        {
            "account": row.account, "currency": row.currency, "state": row.state, "lines": row.lines,
            "shipped": _text(row.shipped), "open": _text(row.open),
        }
        for row in sums_by_state()
    ]  # fmt: skip


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return utc(text)
    except NotAMoment as error:
        raise CommandError(error.message) from error


def _clients(slug: str | None) -> list[Client]:
    clients = Client.objects.filter(active=True).order_by("slug")
    if slug:
        clients = clients.filter(slug=slug)
        if not clients:
            raise CommandError(f"There is no active client {slug!r}.")
    return list(clients)
