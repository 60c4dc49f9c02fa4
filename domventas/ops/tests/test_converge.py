"""Whatever goes wrong on the way, the same rows stand in the end; a broken engine is found out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[3]

#: What each broken engine does differently, as code that runs before the command.
MUTANTS = {
    "coverage is marked with the first page": """
from marketplaces.services.claims import Claim
true = Claim.checkpoint
def checkpoint(self, cursor, *, window=None, token="", covered=None):
    true(self, cursor, window=None if covered is None else window, token="", covered=covered or window)
Claim.checkpoint = checkpoint
""",
    "the checkpoint is committed before the rows": """
from contextlib import contextmanager
from marketplaces.services import pages
from django.db import connection, transaction
true = pages.Intake._take
def _take(self, page, believed, *, window, log, also):
    last = not page.next_token
    with transaction.atomic(), connection.cursor() as cursor:
        self.claim.checkpoint(cursor, window=None if last else window, token=page.next_token,
                              covered=window if last and not self.flow.snapshot else None)
    true(self, page, believed, window=window, log=log, also=also)
pages.Intake._take = _take
""",
    "a deleted day is not noticed": """
from marketplaces.services import days
days.reopen = lambda *args, **more: []
""",
    "the last to arrive wins": """
import inspect
from domventas.core import bulk
from orders.services import ingest as module
source = inspect.getsource(module)
for true, false in ((" or page[record.external_id].updated_at <= record.updated_at", " or True"),
                    ("return known is not None and known[1][_UPDATED] > record.updated_at", "return False")):
    assert true in source
    source = source.replace(true, false)
exec(compile(source, module.__file__, "exec"), module.__dict__)
true = bulk.upsert
bulk.upsert = lambda *args, **more: true(*args, **{k: v for k, v in more.items() if k != "newer_than"})
""",
    "what cannot be read is believed at once": """
from marketplaces.services import pages
pages.Intake._doubt = lambda *args: None
""",
}


@pytest.fixture(scope="module")
def template(django_db_setup: None, django_db_blocker: Any) -> str:
    """The suite's own template: nothing has to be migrated again."""
    with psycopg.connect(os.environ["DATABASE_SUPERUSER_URL"], autocommit=True) as server:
        made = r"datistemplate AND datname ~ '^template_[0-9a-f]{12}$'"
        ((name,), *_) = server.execute(f"SELECT datname FROM pg_database WHERE {made} ORDER BY oid DESC").fetchall()
    return name


def converge(template: str, tmp_path: Path, *options: str, mutant: str = "") -> tuple[int, dict[str, Any], str]:
    """Run the command in a process of its own, as people do; with another engine if asked."""
    results = tmp_path / "results.jsonl"
    command = ["converge", "--json", "--template", template, "--results", str(results), *options]
    code = (
        "import os, sys; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'domventas.settings')\n"
        f"import django; django.setup()\n{mutant}\n"
        f"from django.core.management import execute_from_command_line as run; run(['manage.py', *{command!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=900)
    lines = done.stdout.strip().splitlines()
    assert lines, done.stderr
    return done.returncode, json.loads(lines[-1]), done.stderr


@pytest.mark.parametrize(("seeds", "kills"), [(1, 2), pytest.param(3, 6, marks=pytest.mark.fault)])
@pytest.mark.scenario("A0", "Faults on the wire, kill -9, cut sessions and a deleted day, then a calm catch-up")
def test_after_faults_kills_and_a_lost_day_the_rows_are_those_of_a_calm_run(
    template: str, tmp_path: Path, seeds: int, kills: int, record_fault: Any
):
    size = ("--seeds", str(seeds), "--kills", str(kills))
    code, told, errors = converge(template, tmp_path, *size)
    assert (code, told["diverged"], told["lost"], told["duplicated"]) == (0, 0, 0, 0), errors
    assert told["seeds"] == seeds
    assert told["kills"] >= kills
    assert told["faults"] > 30 * seeds
    record_fault(f"{told['seeds']} seeds: {told['faults']} faults, {told['kills']} kills", lost=told["lost"],
                 doubled=told["duplicated"])  # fmt: skip
    again, _, errors = converge(template, tmp_path, *size)
    assert again == 0
    assert "seed 1:" not in errors  # what stands in the results is not run again


@pytest.mark.fault
@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.scenario("A0", "An engine that is broken on purpose is found out by the same proof")
def test_a_broken_engine_is_found_out(template: str, tmp_path: Path, mutant: str, record_fault: Any):
    own = ("--cache", str(tmp_path))  # what a broken engine takes for calm is nobody else's
    code, told, errors = converge(template, tmp_path, "--seeds", "3", "--kills", "24", *own, mutant=MUTANTS[mutant])
    assert (code, told["diverged"] > 0) == (1, True)
    assert told["lost"] + told["duplicated"] + told["changed"] > 0
    assert "replay: manage.py converge --seeds 1 --seed-from" in errors
    record_fault(f"{mutant}: {told['seeds']} seeds", diverged=told["diverged"], rows_lost=told["lost"],
                 rows_doubled=told["duplicated"], rows_changed=told["changed"])  # fmt: skip
