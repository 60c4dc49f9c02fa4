"""`manage.py bench NAME`: measures one hot path beside its references, on data made for it and thrown away after."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from domventas.core.errors import DomventasError
from domventas.ops.bench.plan import SIZES, Bench, Job

#: Name → module and the variants it has; the first is the default.
BENCHES = {
    "normalise": ("",),
    "ingest": ("cold", "noop", "changed"),
    "event": ("",),
    "settlements": ("",),
    "reconcile": ("one", "full"),
}


class Command(BaseCommand):
    """Runs all arms in turn, prints medians, spread, memory and goals. Needs the superuser's address for databases."""

    help = "Measures a hot path beside its references."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: --size, --runs, --variant, --json, --check; --base starts from a database that has our tables."""
        parser.add_argument("name", choices=sorted(BENCHES))
        parser.add_argument("--size", choices=SIZES, default="S")
        parser.add_argument("--runs", type=int, default=3)
        parser.add_argument("--variant", default="")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--check", action="store_true", help="fail if a goal is missed")
        parser.add_argument("--base", default="", help="a database with our tables to clone, instead of making them")
        parser.add_argument("--arm", default="", help="run this arm alone, here; used by the bench itself")
        parser.add_argument("--folder", default="", help="where an arm finds its files; used by the bench itself")

    def handle(self, *args: Any, **options: Any) -> None:
        """Measure. Raises: CommandError: no such variant, a run broke, arms disagree, or a goal is missed."""
        name, variants = options["name"], BENCHES[options["name"]]
        variant = options["variant"] or variants[0]
        if variant not in variants:
            raise CommandError(f"{name} has the variants {', '.join(variants) or 'none'}")
        bench: Bench = import_module(f"domventas.ops.bench.{name}").bench(variant)
        if options["arm"]:
            from domventas.ops.bench import worker

            job = Job(options["size"], variant, Path(options["folder"]))
            self.stdout.write(json.dumps(worker.run(bench, options["arm"], job)))
            return
        from domventas.ops.bench.measure import Order, measure

        order = Order(options["size"], variant, options["runs"], options["base"])
        try:
            found = measure(bench, order, self.stderr.write)
        except DomventasError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(json.dumps(found, indent=None if options["json"] else 2))
        missed = [goal for goal in found["goals"] if not goal["met"]]
        if options["check"] and missed:
            raise CommandError(f"goals missed: {missed}")
