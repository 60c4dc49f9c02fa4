"""What a fault test holds in its hands: servers, processes, slots to fire, and the count of what came of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.db import InterfaceError, OperationalError

from domventas.core.jobs import firing
from domventas.core.models import Client, Membership, User
from domventas.core.roles import Role
from domventas.tests.faults.processes import Processes
from domventas.tests.faults.servers import Servers

T0 = datetime(2026, 11, 20, 6, tzinfo=UTC)
SLOT = timedelta(minutes=5)
MAKE = """
CREATE TABLE fault_effect (id bigserial, client_id bigint, run_id bigint, step int, attempt int, load bytea);
CREATE TABLE fault_import (id bigserial, run_id bigint, part int, load text);
GRANT SELECT, INSERT ON fault_effect, fault_import TO app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
GRANT SELECT, DELETE ON fault_effect, fault_import TO ops;
"""
CLEAN = (
    "fault_effect", "fault_import", "core_dispatch", "core_taskrun", "core_firing", "core_threshold",
    "django_celery_beat_periodictask",
)  # fmt: skip


def furnish(servers: Servers) -> Client:
    """Tables of the faults, two clients, and an administrator of the first, who is returned."""
    servers.super_sql(MAKE)
    client = Client.objects.create(slug="dom-ventas", name="Dom Ventas")
    user = User.objects.create_user("admin@example.com", "a long password")
    Membership.objects.create(user=user, client=client, role=Role.ADMIN)
    Client.objects.create(slug="other-house", name="Other House")
    return client


@dataclass
class World:
    """Two clients, whose runs are made here and done by real workers."""

    servers: Servers
    processes: Processes

    def clean(self) -> None:
        """As if nothing had happened yet."""
        self.servers.super_sql("; ".join(f"DELETE FROM {table}" for table in CLEAN))
        self.servers.flush()

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask for every client at once; again while the server is away."""
        until = time.monotonic() + 20
        while True:
            try:
                return self.servers.sql(text, *values)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def number(self, text: str, *values: Any) -> int:
        """The one number a question gives."""
        return int(self.sql(text, *values)[0][0])

    def fire(self, job: str, slots: int = 1, *, after: int = 0) -> int:
        """So many slots of a job, from the one `after` on. Returns the runs made."""
        return sum(firing.fire(job, now=T0 + SLOT * (after + number)) for number in range(slots))

    def states(self, job: str = "%") -> Counter[str]:
        """Runs by state."""
        query = "SELECT state, count(*) FROM core_taskrun WHERE task LIKE %s GROUP BY state"
        return Counter(dict(self.sql(query, job)))

    def done(self) -> int:
        """Runs that have been done."""
        return self.states()["done"]

    def open(self) -> int:
        """Runs that wait or work."""
        found = self.states()
        return found["queued"] + found["running"]

    def settle(self, seconds: float = 90) -> str:
        """Wait until nothing waits or works; returns how long that took, in words."""
        return self.wait(lambda: not self.open(), seconds)

    def wait(self, reached: Callable[[], object], seconds: float = 60) -> str:
        """Wait for a condition; returns how long that took. Raises: AssertionError: never reached."""
        begun = time.monotonic()
        while True:
            with suppress(OperationalError, InterfaceError):
                if reached():
                    return f"{time.monotonic() - begun:.1f} s"
            ended = self.processes.ended()
            if ended or time.monotonic() - begun > seconds:
                tail = self.processes.log.read_text(errors="replace")[-3000:]
                raise AssertionError(f"not reached in {seconds} s: {self.states()}, ended: {ended}\n{tail}")
            time.sleep(0.05)

    def lost(self, steps: int, job: str = "%") -> int:
        """Steps of done runs that left no row."""
        return self.number(
            "SELECT count(*) FROM core_taskrun r CROSS JOIN generate_series(0, %s - 1) s WHERE r.task LIKE %s"
            " AND r.state IN ('done', 'queued', 'running', 'failed')"
            " AND NOT EXISTS (SELECT 1 FROM fault_effect e WHERE e.run_id = r.id AND e.step = s)",
            steps, job,
        )  # fmt: skip

    def doubled(self) -> int:
        """Rows more than one per run and step."""
        return self.number("SELECT count(*) - count(DISTINCT (run_id, step)) FROM fault_effect")

    def attempts(self) -> int:
        """Starts of all runs together."""
        return self.number("SELECT coalesce(sum(attempt), 0) FROM core_taskrun")
