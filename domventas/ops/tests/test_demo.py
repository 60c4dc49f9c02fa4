"""The demo as people start it: whoever stops it while it is set up finds it whole when he starts it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEMO = [sys.executable, "manage.py", "demo", "--once", "--json", "--orders", "800", "--days", "40"]


@pytest.mark.slow
def test_a_demo_that_was_stopped_on_its_way_is_set_up_to_its_end(tmp_path: Path) -> None:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "REDIS_"))}
    known |= {"DOMVENTAS_STATE": str(tmp_path / "state")}
    known.pop("DOMVENTAS_OWN_SERVERS", None)
    told = tmp_path / "told"
    with told.open("w") as log, subprocess.Popen(DEMO, cwd=ROOT, env=known, stderr=log, stdout=log) as first:
        until = time.monotonic() + 180
        while "back-fill" not in told.read_text() and first.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        first.terminate()
    assert first.returncode and "back-fill" in told.read_text(), told.read_text()
    again = subprocess.run(DEMO, cwd=ROOT, env=known, capture_output=True, text=True)
    stop = "import devservers; devservers.destroy()"
    subprocess.run([sys.executable, "-c", stop], cwd=ROOT, env=known, check=True)
    assert again.returncode == 0, again.stderr
    answer: dict[str, Any] = json.loads(again.stdout.splitlines()[-1])
    assert (answer["truth"]["precision"], answer["truth"]["recall"], answer["balanced"]) == (1.0, 1.0, True)
    assert answer["truth"]["planted"] == answer["truth"]["found"] > 50 and answer["days"] > 40
