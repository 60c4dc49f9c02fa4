"""The line of dependence, and who may read the sandbox's truth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[2]


def test_imports_point_down_the_line() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_only_the_score_reads_the_truth() -> None:
    readers = [
        path.relative_to(ROOT)
        for app in ("domventas", "marketplaces", "catalog", "orders", "finance", "tickets", "reports")
        for path in (ROOT / app).rglob("*.py")
        if "__sandbox/truth" in path.read_text(encoding="utf-8") and "tests" not in path.parts
    ]
    assert {str(path) for path in readers if "marketplaces/sandbox" not in str(path)} == {"domventas/ops/score.py"}


def test_migrations_say_what_the_models_say(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_starting_loads_no_heavy_library() -> None:
    """Registries are gathered at start, so what they import is paid by every process.

    django-import-export looks for its formats when it is imported, and so loads openpyxl, which loads numpy where the
    benches have it installed: these two cannot be kept out.
    """
    code = (
        "import os, sys, django; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'domventas.settings'); django.setup();"
        "print([m for m in ('boto3', 'lark', 'pandas', 'pydantic', 'playwright') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
