"""Beat behind a leader's lock: it writes firings to PostgreSQL itself, with no broker between schedule and run."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import psycopg
from celery import current_app
from django.conf import settings
from django.db import close_old_connections, connection
from django.utils.timezone import now as clock
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from domventas.core.jobs.firing import fire, owing
from domventas.core.jobs.relay import relay
from domventas.core.jobs.sweep import sweep
from domventas.core.jobs.timetable import cadence_of

log = logging.getLogger(__name__)
LOCK = "SELECT pg_try_advisory_lock(hashtextextended('beat', 0))"
#: What libpq knows: of Django's settings the leader needs these alone. `target_session_attrs` is among them, for a lock
#: on a standby would make a second leader.
WANTED = {one.keyword.decode() for one in psycopg.pq.Conninfo.get_defaults()} - {"options"}


class Leader:
    """The lock lives on a connection of its own, because the scheduler closes Django's in every tick."""

    def __init__(self) -> None:
        self.conn: psycopg.Connection[Any] | None = None
        self.leads = False

    def held(self) -> bool:
        """True while we lead; the server is asked each time, so a lost connection ends the reign at once."""
        try:
            if self.conn is None:
                given = connection.get_connection_params()
                known = {key: value for key, value in given.items() if key in WANTED and value}
                known |= {"application_name": f"domventas beat {os.getpid()}", "connect_timeout": 3}
                self.conn = psycopg.connect(
                    **known, autocommit=True, keepalives_idle=5, keepalives_interval=2, keepalives_count=2
                )
                self.leads = False
            row = self.conn.execute("SELECT true" if self.leads else LOCK).fetchone()
            self.leads = bool(row and row[0])
        except psycopg.Error:
            if self.conn is not None:
                self.conn.close()
            self.conn, self.leads = None, False
        return self.leads


class Entry(ModelEntry):
    """A row of the timetable that writes back its own two columns only."""

    def save(self) -> None:
        """Upstream saves the whole row and can undo a switch that staff set meanwhile."""
        PeriodicTask.objects.filter(pk=self.model.pk).update(
            last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count
        )


class LeaderScheduler(DatabaseScheduler):
    """Many beats may run; the one that holds the lock fires. Every one of them relays and sweeps."""

    Entry = Entry
    sync_every = 10

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.leader, self.reigning = Leader(), False
        if not kwargs.get("lazy"):
            threading.Thread(target=carry, daemon=True, name="relay").start()
        super().__init__(*args, **kwargs)

    def install_default_entries(self, data: Any) -> None:
        """None: a row nobody declared would be a stray."""

    def schedule_changed(self) -> bool:
        """Upstream takes the first change ever for none: the rows of the first release would wait five minutes."""
        first = self._last_timestamp is None
        return bool(super().schedule_changed()) or (first and self._last_timestamp is not None)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Fire what is due if we lead; else look again soon."""
        if not self.leader.held():
            self.reigning = False
            return min(1.0, self.max_interval)
        try:
            if not self.reigning:
                self._take_over()
            return float(super().tick(*args, **kwargs))
        except Exception:
            log.exception("tick failed; taking over anew")
            connection.close()
            self.reigning = False
            return 0.5

    def _take_over(self) -> None:
        """Forget what was read as a follower, and fire what others or a failed tick still owe.

        Beat itself moves a row's time on before firing it, so a slot lost in between would wait for the next one.
        """
        self._initial_read, self._heap = True, None
        rows = PeriodicTask.objects.filter(enabled=True).select_related("crontab")
        cadences = {row.name: cadence_of(row) for row in rows}
        for name in owing(cadences, now=clock()):
            fire(name, now=clock(), cadence=cadences[name])
        self.reigning = True

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Instead of a message: Firing, runs and dispatches in one transaction."""
        fire(entry.name, now=clock(), cadence=cadence_of(entry.model))


def carry() -> None:
    """Relay and sweep until the process ends; both are safe in several processes at once."""
    swept = 0.0
    while True:
        try:
            close_old_connections()
            while relay():
                pass
            if time.monotonic() - swept > settings.JOB_SWEEP_EVERY:
                swept = time.monotonic()
                sweep(backlog=broker_backlog)
        except Exception as error:
            log.warning("relay: %r", error)
            connection.close()
        time.sleep(settings.JOB_RELAY_EVERY)


def broker_backlog(queues: list[str]) -> dict[str, int]:
    """Messages the broker holds per queue, not yet given to a worker."""
    with current_app.connection_for_read() as broker, broker.channel() as channel:
        return {queue: int(channel.client.llen(queue)) for queue in queues}
