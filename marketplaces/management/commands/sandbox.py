"""`manage.py sandbox`: the marketplaces on one port, until stopped."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from marketplaces.sandbox.faults.plan import PLANS
from marketplaces.sandbox.server import DEMO_SPEED, open_sandbox
from marketplaces.sandbox.world.faults import PLANS as WORLD_PLANS


class Command(BaseCommand):
    """Serve the seeded world over HTTP; the first line printed is `sandbox ready <url>`."""

    help = "Serve the marketplaces' APIs from one seeded world on a local port until stopped."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
        parser.add_argument("--seed", type=int, default=1)
        faults = (
            f"what is planted in the world's money ({', '.join(WORLD_PLANS)}), what goes wrong on the wire"
            f" ({', '.join(PLANS)}), both with a comma between, or a JSON object"
        )
        parser.add_argument("--faults", default="payment", metavar="PLAN", help=faults)
        days = "days of history before now; Amazon shows settlements of the last 90"
        parser.add_argument("--days", type=int, default=100, help=days)
        parser.add_argument("--skus", type=int, default=240)
        parser.add_argument("--orders", type=int, default=12_000, help="orders in the history")
        parser.add_argument("--now", help="ISO time; pins the clock. Default: today 00:00 UTC, and the clock runs")
        parser.add_argument("--speed", type=float, default=DEMO_SPEED, help="factor on all rate limits")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sandbox = open_sandbox(
                seed=options["seed"],
                now=_moment(options["now"]),
                days=options["days"],
                skus=options["skus"],
                orders=options["orders"],
                faults=options["faults"],
                speed=options["speed"],
                port=options["port"],
            )
        except (OSError, ValueError) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(f"sandbox ready {sandbox.url}")
        self.stdout.flush()
        try:
            sandbox.server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("sandbox stopped")
        finally:
            sandbox.server.server_close()


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
