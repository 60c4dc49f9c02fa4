"""`manage.py demo`: sets up a desk full of believable work and serves it; `--once` stops before serving."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.provisioning import provision
from domventas.ops.demo.children import Children, free_port, state_dir
from domventas.ops.demo.life import Sandbox, catch_up, furnish, live_through
from domventas.ops.demo.people import DOMAIN, PASSWORD, PEOPLE, make_client
from domventas.ops.demo.summary import summary
from orders.models import Order

OTHERS = ", ".join(f"{name}@{DOMAIN}" for name in PEOPLE if name != "demo")
READY = "sandbox ready "
HORIZON = timedelta(days=13)
"""The sandbox's world goes on for two weeks after its now; then the demo starts over."""


class Command(BaseCommand):
    """Sets up servers' database, people, sandbox, back-fill and a week of life, then serves until Ctrl-C."""

    help = "Sets up and serves the demo."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Options: --once, --json, --fresh, --port, --orders, --days, --seed, --faults, --now."""
        parser.add_argument("--once", action="store_true", help="run every flow once, do not serve")
        parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
        parser.add_argument("--fresh", action="store_true", help="throw the demo's data away first")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--days", type=int, default=100)
        parser.add_argument("--orders", type=int, default=12_000)
        parser.add_argument("--faults", default="payment")
        parser.add_argument("--now", help="the world's now, ISO 8601; default: today 00:00 UTC")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run all steps. Raises: CommandError: not on the checkout's own servers, or a child does not start."""
        if not settings.OWN_SERVERS:
            raise CommandError(
                "the demo has known passwords: it runs on this checkout's own servers only, unset DATABASE_URL"
            )
        self.started, self.children = time.monotonic(), Children()
        try:
            self._run(options)
        except KeyboardInterrupt:
            self._tell("stopping")
        finally:
            self.children.stop()

    def _run(self, options: dict[str, Any]) -> None:
        world = self._world(options)
        now = moment(world["now"])
        self._tell("database")
        provision(os.environ["DATABASE_SUPERUSER_URL"], settings.DATABASES["default"]["NAME"])
        call_command("migrate", verbosity=0)
        client = make_client()
        call_command("sync_timetable", stdout=io.StringIO())
        self._tell("sandbox")
        sandbox = self._sandbox(world)
        begun = state_dir() / "begun"  # who stops it on the way has first orders, but half a desk
        with tenancy.acting_for(client, actor="demo"):
            lived = Order.objects.exists() and not begun.exists()
        if not lived:
            self._tell("product master, costs, accounts")
            begun.touch()
            furnish(client, sandbox, now=now)
            live_through(client, sandbox, now=now, tell=self._tell)
            begun.unlink()
        if options["once"]:
            result = {**summary(client, sandbox, now=now), "seconds": round(time.monotonic() - self.started, 1)}
            self.stdout.write(json.dumps(result) if options["json"] else json.dumps(result, indent=2))
            return
        sandbox.set_clock(max(clock(), now), running=True)
        self._tell("catching up with the clock")
        catch_up(client, sandbox, now=max(clock(), now))
        self._serve(client.slug, options["port"])

    def _world(self, options: dict[str, Any]) -> dict[str, str]:
        """The world this demo lives in: chosen once, and kept with its data until --fresh."""
        file = state_dir() / "world.json"
        if file.exists() and not options["fresh"]:
            kept: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
            if clock() < moment(kept["now"]) + HORIZON:
                return kept
            raise CommandError("the demo's world has come to its end; start over with --fresh")
        today = clock().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        now = moment(options["now"]) if options["now"] else today
        world = {name: str(options[name]) for name in ("seed", "days", "orders", "faults")} | {"now": now.isoformat()}
        file.write_text(json.dumps(world), encoding="utf-8")
        return world

    def _sandbox(self, world: dict[str, str]) -> Sandbox:
        port = free_port(8790)
        command = [sys.executable, "manage.py", "sandbox", "--port", str(port), "--speed", "100000"]
        command += [part for name, value in world.items() for part in (f"--{name}", value)]
        self.children.start("sandbox", command)
        # Its own word, not the port: another demo's sandbox may answer there.
        self.children.wait_for("sandbox", lambda: READY in self.children.tail("sandbox"))
        sandbox = Sandbox(url=self.children.tail("sandbox").partition(READY)[2].split()[0])
        settings.SANDBOX_URL = sandbox.url
        sandbox.set_clock(moment(world["now"]))
        return sandbox

    def _serve(self, slug: str, wanted: int) -> None:
        port = free_port(wanted)
        env = {"SANDBOX_URL": settings.SANDBOX_URL, "DOMVENTAS_DEMO": "1"}
        gunicorn = [
            "-m",
            "gunicorn",
            "--graceful-timeout",
            "3",
            "domventas.wsgi",
            "--bind",
            f"127.0.0.1:{port}",
            "--threads",
            "2",
            "--no-control-socket",
        ]
        celery = ["-m", "celery", "-A", "domventas"]
        self._tell("web, worker, beat")
        self.children.start("web", [sys.executable, *gunicorn], env=env)
        self.children.start(
            "worker",
            [
                sys.executable,
                *celery,
                "worker",
                "-c",
                "2",
                "-Q",
                "realtime,sync,push,reports,bulk",
                "--loglevel",
                "WARNING",
            ],
            env=env,
        )
        self.children.start("beat", [sys.executable, *celery, "beat", "--pidfile=", "--loglevel", "WARNING"], env=env)
        self.children.wait_for("web", lambda: _answers(f"http://127.0.0.1:{port}/health"))
        self._tell(f"ready: http://127.0.0.1:{port}/c/{slug}/  login demo@{DOMAIN}, password {PASSWORD}")
        self._tell(f"other corners: {OTHERS}, the same password")
        self._tell("Ctrl-C stops everything")
        while not (name := self.children.dead()):
            time.sleep(0.5)
        raise CommandError(f"{name} ended by itself:\n{self.children.tail(name)}")

    def _tell(self, text: str) -> None:
        self.stderr.write(f"{time.monotonic() - self.started:6.1f} s  {text}")


def moment(text: str) -> datetime:
    """A moment with its zone. Raises: CommandError: it is none."""
    found = parse_datetime(text)
    if found is None or found.tzinfo is None:
        raise CommandError(f"{text!r} is no moment with its zone, such as 2026-11-21T00:00:00Z")
    return found


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=30).ok
    except requests.RequestException:
        return False
