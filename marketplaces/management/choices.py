"""What the commands of this app have in common: which client, which account, which flow, which moment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.timezone import now as clock

from domventas.core import times
from domventas.core.models import Client
from marketplaces.port import RECORD_OF_FLOW


def add_choices(parser: CommandParser) -> None:
    """The options the commands share."""
    parser.add_argument("--client", default="", help="short name of a client; without it, all active ones")
    parser.add_argument("--account", default="", help="code of one account")
    parser.add_argument("--flow", default="", choices=["", *RECORD_OF_FLOW], help="one flow only")
    parser.add_argument("--since", default="", help="a day or moment: read again from here on")
    parser.add_argument("--now", default="", help="the moment the run stands at; default: now")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")


def chosen_clients(options: dict[str, Any]) -> list[Client]:
    """The clients to act for. Raises: CommandError: none of that name."""
    found = Client.objects.filter(active=True)
    if options["client"]:
        found = found.filter(slug=options["client"])
    clients = list(found.order_by("pk"))
    if not clients:
        raise CommandError("There is no such client.")
    return clients


def now_of(options: dict[str, Any]) -> datetime:
    """The moment the run stands at."""
    return moment(options["now"]) or clock()


def moment(text: str) -> datetime | None:
    """A day (its first moment in UTC) or a moment with its zone; None for nothing. Raises: CommandError."""
    if not text:
        return None
    try:
        return times.utc(f"{text}T00:00:00Z" if len(text) == 10 else text)
    except times.NotAMoment as error:
        raise CommandError(error.message) from None
