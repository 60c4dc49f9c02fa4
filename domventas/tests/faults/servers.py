"""PostgreSQL and Valkey for the faults alone: nobody else is there when they are killed."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from django.db import connections

import devservers
import pytest_databases as databases
from domventas.core.db.address import SEVERAL

BROKER_DB = 7


class Servers:
    """Both servers and one database; `pointed` turns Django and the environment of children towards them."""

    def __init__(self, kind: str = "faults") -> None:
        self.place = devservers.Place(kind)
        self.database = f"faults_{secrets.token_hex(4)}"
        self.postgres, self.valkey = devservers.Postgres(self.place), devservers.Valkey(self.place)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start them and make the database; one test run at a time."""
        self.place.state.mkdir(parents=True, exist_ok=True)
        with (self.place.state / "faults").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            self.place.prepare()
            self.valkey.stop()
            self.postgres.start()
            self.valkey.start()
            try:
                with self.pointed():
                    databases.clone(databases.template(), self.database)
                yield
            finally:
                self.postgres.stop()
                self.valkey.stop()

    @property
    def host(self) -> str:
        """Where PostgreSQL is reached, as libpq takes it."""
        return str(self.place.run)

    def url(self, role: str, database: str) -> str:
        """The address for one role."""
        return self.place.url(role, database)

    @contextmanager
    def pointed(self) -> Iterator[None]:
        """Inside, Django's connections and the children's environment lead here."""
        before = dict(os.environ)
        known = {one.alias: dict(one.settings_dict) for one in connections.all()}
        close_connections()
        for variable, role in devservers.ROLES.items():
            os.environ[variable] = self.url(role, self.database)
        os.environ["DATABASE_SUPERUSER_URL"] = self.url(devservers.SUPERUSER, "postgres")
        os.environ["DOMVENTAS_OWN_SERVERS"] = self.host
        os.environ["REDIS_URL"] = f"unix://{self.place.run / devservers.SOCKET}?db={BROKER_DB}"
        for one in connections.all():
            one.settings_dict |= {"HOST": self.host, "NAME": self.database}
            if "," in self.host:
                one.settings_dict["OPTIONS"] = one.settings_dict["OPTIONS"] | SEVERAL
        try:
            yield
        finally:
            close_connections()
            for one in connections.all():
                one.settings_dict |= {key: known[one.alias][key] for key in ("HOST", "NAME", "OPTIONS")}
            os.environ.clear()
            os.environ.update(before)

    def broker(self) -> redis.Redis:
        """A line to the broker."""
        return redis.Redis(unix_socket_path=str(self.place.run / devservers.SOCKET), db=BROKER_DB, socket_timeout=5)

    def flush(self) -> None:
        """Everything the broker knew is gone."""
        self.broker().flushall()

    def kill_valkey(self, *, away: float) -> None:
        """kill -9, and back after so many seconds, with what its log of writes holds."""
        self.valkey.stop_signal = signal.SIGKILL
        self.valkey.stop()
        time.sleep(away)  # the outage itself
        self.valkey.start()

    def restart_postgres(self) -> float:
        """As `pg_ctl -m immediate restart`: every session is cut, the log is replayed. Returns seconds it was away."""
        close_connections()
        begun = time.monotonic()
        self.postgres.stop_signal = signal.SIGQUIT
        self.postgres.stop()
        self.postgres.start()
        self.postgres.stop_signal = signal.SIGINT
        return time.monotonic() - begun

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask as ops, who sees every client. Waits while the server is away."""
        with databases.connect("DATABASE_OPS_URL") as ops:
            found = ops.execute(text, values or None)
            return found.fetchall() if found.description else []

    def super_sql(self, text: str, *, database: str = "") -> None:
        """Do it as the superuser."""
        url = re.sub(r"(?<=@)/[^?]*", f"/{database or self.database}", os.environ["DATABASE_SUPERUSER_URL"])
        with databases.psycopg.connect(url, autocommit=True) as server:
            server.execute(text)


def close_connections() -> None:
    """What is open to a server that goes away would only say so at the next question."""
    for one in connections.all():
        with suppress(Exception):
            one.close()
