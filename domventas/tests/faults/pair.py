"""A primary and its synchronous standby, both real, and the step from the one to the other."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

import devservers
import pytest_databases as databases
from domventas.tests.faults.servers import Servers, close_connections

NAME = "standby"
SYNCHRONOUS = "SELECT count(*) FROM pg_stat_replication WHERE application_name = 'standby' AND sync_state = 'sync'"
LEDGER = "INSERT INTO fault_effect (client_id, run_id, step, attempt) VALUES (0, 0, %s, 1)"


class Standby(devservers.Postgres):
    """A copy of a running server that follows it; taken anew at each start."""

    def __init__(self, place: devservers.Place, primary: devservers.Place) -> None:
        super().__init__(place)
        self.primary = primary

    def _cluster(self) -> Path:
        if not (self.programs / "pg_basebackup").exists():
            pytest.skip(f"{self.programs} has no pg_basebackup; set DOMVENTAS_PG_BIN to a server that has")
        data = self.place.data / NAME
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o700)
        self.place.give(data)
        source = f"host={self.primary.run} port={devservers.PORT} user={devservers.SUPERUSER} application_name={NAME}"
        done = self._call("pg_basebackup", "-d", source, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        if done.returncode:
            raise SystemExit(f"pg_basebackup failed:\n{done.stderr}")
        return data


class Pair(Servers):
    """As `Servers`, with two hosts in every address, of which one can be written to."""

    def __init__(self) -> None:
        super().__init__("pair")
        self.other = devservers.Place("pair-standby")
        self.standby = Standby(self.other, self.place)

    @property
    def host(self) -> str:
        """Both."""
        return f"{self.place.run},{self.other.run}"

    def url(self, role: str, database: str) -> str:
        """As an operator writes it down."""
        address = f"postgresql://{role}@/{database}?host={self.host}&port={devservers.PORT}"
        return f"{address}&target_session_attrs=read-write"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the primary, then its standby, then let every commit wait for both."""
        self.other.state.mkdir(parents=True, exist_ok=True)
        self.other.prepare()
        self.standby.stop()  # left by a run that was killed
        self._forget_standby()
        with super().running():
            self.standby.start()
            with self.pointed():
                self.super_sql(f"ALTER SYSTEM SET synchronous_standby_names = '{NAME}'", database="postgres")
                self.super_sql("SELECT pg_reload_conf()", database="postgres")
                self._wait_until_synchronous()
            try:
                yield
            finally:
                self.standby.stop()
                self._forget_standby()

    def kill_primary(self) -> None:
        """As `pg_ctl -m immediate stop`: every session is cut, nothing is written any more."""
        close_connections()
        self.postgres.stop_signal = signal.SIGQUIT
        self.postgres.stop()

    def promote(self) -> None:
        """What the runbook says: the standby becomes the primary. Returns when it can be written to."""
        with psycopg.connect(self.other.url(devservers.SUPERUSER, "postgres"), autocommit=True) as server:
            row = server.execute("SELECT pg_promote(true, 30)").fetchone()
            assert row == (True,)

    def _forget_standby(self) -> None:
        """A primary that waits for a standby that is gone would never answer a commit again."""
        for settings in self.place.data.glob("pg*/postgresql.auto.conf"):
            kept = [line for line in settings.read_text().splitlines() if "synchronous_standby_names" not in line]
            settings.write_text("".join(f"{line}\n" for line in kept))

    def _wait_until_synchronous(self) -> None:
        until = time.monotonic() + 20
        with databases.connect("DATABASE_SUPERUSER_URL") as server:
            while server.execute(SYNCHRONOUS).fetchone() != (1,):
                assert time.monotonic() < until, "the standby does not follow"
                time.sleep(0.05)


class Ledger:
    """Commits one row after the other and remembers which were acknowledged: each has to be there afterwards."""

    def __init__(self, url: str) -> None:
        self.url, self.acknowledged, self.longest = url, list[int](), 0.0
        self._ended, self._last = threading.Event(), time.monotonic()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write inside the block."""
        thread = threading.Thread(target=self._write, daemon=True)
        self._last = time.monotonic()
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join(40)

    def _write(self) -> None:
        number = 0
        while not self._ended.is_set():
            with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True, connect_timeout=3) as server:
                while not self._ended.is_set():
                    number += 1  # one whose answer was lost is never written again
                    server.execute(LEDGER, [number])
                    self.acknowledged.append(number)
                    self.longest = max(self.longest, time.monotonic() - self._last)
                    self._last = time.monotonic()
                    time.sleep(0.002)
            time.sleep(0.02)
