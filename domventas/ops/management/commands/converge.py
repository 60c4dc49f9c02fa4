"""`manage.py converge`: sync under faults and kill -9, then compare with a calm run."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from domventas.ops.converge import databases
from domventas.ops.converge.lane import Lane, Outcome


class Command(BaseCommand):
    """`manage.py converge --seeds N [--kills K] [--seed-from S] [--jobs J] [--results FILE] [--json]`."""

    help = (
        "For each seed: a world, a run under a fault plan whose workers are killed with kill -9, whose sessions are"
        " cut and one of whose days is deleted, then one calm catch-up. Its rows must equal those of a calm run."
        " Exit 1 if one seed diverges."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How much, where the results go, and from which seed on."""
        parser.add_argument("--seeds", type=int, default=5, help="how many worlds")
        kills = "kills in the whole run, at least; spread evenly, so rounded up per seed. Default: 5 per seed"
        parser.add_argument("--kills", type=int, default=None, help=kills)
        parser.add_argument("--seed-from", type=int, default=1, help="the first seed; to replay one, with --seeds 1")
        parser.add_argument("--jobs", type=int, default=2, help="lanes at a time")
        parser.add_argument("--rate", type=float, default=0.3, help="share of requests that are spoiled")
        results = "one JSON object per seed; seeds already in it are not run again. Default: a new file"
        parser.add_argument("--results", type=Path, help=results)
        parser.add_argument("--template", help="a database to clone instead of one made for the purpose")
        cache = "folder of the calm runs' dumps; default: one for the code as it stands"
        parser.add_argument("--cache", type=Path, help=cache)
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the seeds on the lanes and add up. Raises: CommandError: nothing to run, or no server of our own."""
        seeds = range(options["seed_from"], options["seed_from"] + options["seeds"])
        if not seeds or options["jobs"] < 1:
            raise CommandError("--seeds and --jobs must be 1 or more")
        if "DATABASE_SUPERUSER_URL" not in os.environ:
            raise CommandError("this makes and drops databases: DATABASE_SUPERUSER_URL must be set")
        started, state = time.monotonic(), _state()
        kills = 5 if options["kills"] is None else -(-options["kills"] // len(seeds))
        results = options["results"] or state / f"results-{os.getpid()}.jsonl"
        done = {row["seed"] for row in _rows(results)}
        cache = options["cache"] or state / "calm" / databases.digest("**/*.py", "**/*.csv", "**/*.sql")
        cache.mkdir(parents=True, exist_ok=True)
        lane = Lane(
            template=options["template"] or databases.template(), kills=kills, rate=options["rate"], cache=cache,
            log=state / "lanes.log", first_client=int(time.time()) * 1000,
        )  # fmt: skip
        open_seeds = [seed for seed in seeds if seed not in done]
        self._lanes(lane, [open_seeds[n :: options["jobs"]] for n in range(options["jobs"])], results)
        rows = [row for row in _rows(results) if row["seed"] in seeds]
        if len(rows) < len(seeds):
            raise CommandError(f"only {len(rows)} of {len(seeds)} seeds came to an end; see {lane.log}")
        self._tell(rows, results, options, time.monotonic() - started)

    def _lanes(self, lane: Lane, shares: list[list[int]], results: Path) -> None:
        for connection in connections.all():
            connection.close()
        self.stdout.flush()
        self.stderr.flush()
        children = []
        for share in shares:
            if pid := os.fork():
                children.append(pid)
                continue
            code = 1
            try:
                for seed in share:
                    outcome = lane.run(seed)
                    with results.open("a", encoding="utf-8") as file:
                        file.write(outcome.line())
                    self.stderr.write(_in_words(outcome))
                    self.stderr.flush()
                code = 0
            finally:
                os._exit(code)
        for pid in children:
            os.waitpid(pid, 0)

    def _tell(self, rows: list[dict[str, Any]], results: Path, options: dict[str, Any], seconds: float) -> None:
        faults: Counter[str] = Counter()
        for row in rows:
            faults.update(row["faults"])
        bad = [row["seed"] for row in rows if row["diverged"]]
        told = {
            "seeds": len(rows), "faults": faults.total(),
            **{name: sum(row[name] for row in rows) for name in ("kills", "cuts", "lost", "duplicated", "changed")},
            "diverged": len(bad), "failing": bad, "kinds": dict(sorted(faults.items())),
            "requests": sum(row["requests"] for row in rows), "rows": sum(row["rows"] for row in rows),
            "seconds": round(seconds, 1), "results": str(results),
        }  # fmt: skip
        for row in rows:
            if row["diverged"]:
                self.stderr.write(f"seed {row['seed']} diverged {row['error']}")
                for line in row["differences"][:10]:
                    self.stderr.write(f"  {line}"[:300])
                kills = row["kills"] or 1
                self.stderr.write(
                    f"  replay: manage.py converge --seeds 1 --seed-from {row['seed']} --kills {kills}"
                    f" --rate {options['rate']}"
                )
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            for name, value in told.items():
                self.stdout.write(f"{name}: {value}")
        if bad:
            raise SystemExit(1)


def _in_words(outcome: Outcome) -> str:
    verdict = "DIVERGED" if outcome.diverged else "equal"
    return (
        f"seed {outcome.seed}: {verdict}, {sum(outcome.faults.values())} faults, {outcome.kills} kills,"
        f" {outcome.cuts} sessions cut, {outcome.rows} rows, {outcome.seconds} s {outcome.error}"
    )


def _state() -> Path:
    path = Path(os.environ.get("DOMVENTAS_STATE") or settings.BASE_DIR / ".domventas") / "converge"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _rows(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines() if line]
