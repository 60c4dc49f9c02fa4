"""What is shipped for running it elsewhere fits the code: variables, queues, commands; units and compose parse."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands
from django.test import Client as Browser

from domventas.core.jobs.declare import QUEUES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
#: Set by our own tools or tests, never by people who run it.
NOT_PEOPLES = {"DEBUG", "DOMVENTAS_DEMO", "DOMVENTAS_OWN_SERVERS"}
UNITS = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.is_file())
EXAMPLES = ("env.example", "ops.env.example", "owner.env.example")


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "docker-compose.yml").read_text(encoding="utf-8"))


def words(command: Any) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command or []]


def examples() -> str:
    """All examples of environments in one."""
    return "".join((DEPLOY / name).read_text(encoding="utf-8") for name in EXAMPLES)


def commands() -> list[list[str]]:
    """Every command line of compose and of the units."""
    found = [words(service.get("command")) for service in compose()["services"].values()]
    for unit in UNITS:
        lines = re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
        found += [words(line.replace("%%", "%")) for line in lines]
    return [line for line in found if line]


def test_the_example_names_every_variable_the_code_reads() -> None:
    source = (ROOT / "domventas" / "settings.py").read_text(encoding="utf-8")
    read = set(re.findall(r"\benv(?:_bool|_list|_number)?\(\s*\"([A-Z_]+)\"", source))
    read |= set(re.findall(r"\bdatabase\(\s*\"([A-Z_]+)\"", source))
    shown = re.findall(r"^(?:# )?([A-Z_]+)=", examples(), re.MULTILINE)
    assert len(read) > 15
    assert read - NOT_PEOPLES <= set(shown)
    assert len(set(shown)) == len(shown)


def test_the_example_holds_no_secret_and_no_default_for_one() -> None:
    text = examples()
    assert re.search(r"^SECRET_KEY=$", text, re.MULTILINE) and re.search(r"^DOMVENTAS_KEYRING=$", text, re.MULTILINE)
    passwords = re.findall(r"://\w+:([^@\s]+)@", text)
    assert passwords and set(passwords) == {"CHANGE-ME"}


def test_every_queue_has_a_worker_and_no_worker_waits_at_a_queue_nobody_fills() -> None:
    served: set[str] = set()
    for line in commands():
        if "worker" in line and "%i" not in line:
            served |= set(line[line.index("-Q") + 1].split(","))
    assert served == set(QUEUES)


def test_every_command_of_ours_exists() -> None:
    called = {line[line.index("manage.py") + 1] for line in commands() if "manage.py" in line}
    called |= set(re.findall(r"manage\.py (\w+)", " ".join(" ".join(line) for line in commands())))
    assert called >= {"migrate", "sync_timetable", "backup", "provision"}
    assert called <= set(get_commands())


def test_only_what_needs_the_superuser_is_given_it() -> None:
    for name, service in compose()["services"].items():
        given = "DATABASE_SUPERUSER_URL" in (service.get("environment") or {})
        assert given == (name == "provision")


def test_only_what_passes_walls_by_trade_is_given_the_roles_that_do() -> None:
    """Whoever breaks into web, beat or a worker that talks to the world must find the role app and no other."""
    assert not re.search(r"^DATABASE_O", (DEPLOY / "env.example").read_text(encoding="utf-8"), re.MULTILINE)
    given = {
        name: set(one["env_file"]) - {"app.env"} for name, one in compose()["services"].items() if "env_file" in one
    }
    assert {name: files for name, files in given.items() if files} == {
        "provision": {"owner.env", "ops.env"}, "release": {"owner.env"}, "backup": {"ops.env"},
        "worker-bulk": {"ops.env"},
    }  # fmt: skip
    files = {unit.name: set(re.findall(r"^EnvironmentFile=/etc/domventas/(\w+)\.env$", unit.read_text(), re.MULTILINE))
             for unit in UNITS}  # fmt: skip
    assert {name: roles for name, roles in files.items() if roles} == {
        "domventas-release.service": {"owner"}, "domventas-backup.service": {"ops"},
    }  # fmt: skip
    (drop_in,) = (DEPLOY / "systemd").glob("*/*.conf")
    assert drop_in.parent.name == "domventas-worker@bulk.service.d"
    assert "EnvironmentFile=/etc/domventas/ops.env" in drop_in.read_text(encoding="utf-8")


def test_services_of_ours_cannot_write_or_rise() -> None:
    ours = {name: one for name, one in compose()["services"].items() if one.get("image") == "domventas"}
    assert len(ours) >= 8
    for service in ours.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_one_systemd_understands(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not on this machine")
    for one in UNITS:  # programs that are here, at the places where theirs will be
        text = re.sub(r"=/srv/domventas/\.venv/bin/\w+", "=/bin/true", one.read_text(encoding="utf-8"))
        (tmp_path / one.name).write_text(text, encoding="utf-8")
    name = unit.name.replace("@.", "@sync.")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "domventas" in line]
    assert not ours, "\n".join(ours)


@pytest.mark.parametrize("program", [["manage.py", "showmigrations"], ["-m", "celery", "-A", "domventas", "report"]])
def test_an_address_that_comes_from_a_file_starts_no_servers_of_ours(program: list[str], tmp_path: Path) -> None:
    given = tmp_path / "url"
    given.write_text("postgresql://app:word@/nowhere?host=/nowhere&port=1\n")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "DOMVENTAS_"))}
    known |= {
        "DATABASE_URL_FILE": str(given), "SECRET_KEY": "k" * 60, "DOMVENTAS_STATE": str(tmp_path / "state"),
        "DOMVENTAS_KEYRING": "YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlcjE=",
    }  # fmt: skip
    done = subprocess.run([sys.executable, *program], cwd=ROOT, env=known, capture_output=True, text=True)
    assert not (tmp_path / "state").exists(), "it works on the demo's servers, not on those it was given"
    assert "/nowhere" in done.stdout + done.stderr or done.returncode == 0


@pytest.mark.django_db
def test_health_tells_strangers_whether_it_is_ready_and_nothing_else(settings: Any) -> None:
    stranger = Browser()
    assert (stranger.get("/health").status_code, stranger.get("/health").content) == (200, b"ok")
    reply = stranger.get("/health/ready")
    assert (reply.status_code, reply.json()) == (200, {"database": True, "broker": True})
    settings.REDIS_URL = "unix:///nowhere/valkey.sock?db=0"
    reply = stranger.get("/health/ready")
    assert (reply.status_code, reply.json()) == (503, {"database": True, "broker": False})
