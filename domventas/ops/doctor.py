"""What must be so for the house to work, asked one by one and answered in words that say what to do.

Each examination is a function that returns what it found, or raises `Ill` with what is wrong.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import django
import redis
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django_celery_beat.models import PeriodicTask

from domventas.core import crypto, tenancy
from domventas.core.audit import seals
from domventas.core.checks import walled_models
from domventas.core.fields import EncryptedTextField
from domventas.core.jobs import timetable
from domventas.core.models import Client, Firing
from marketplaces.selectors import arrivals, backlog, monitor

T = TypeVar("T")

#: Beat fires something at least every few minutes; silence longer than this means that none runs.
BEAT_SILENT: Final = timedelta(minutes=30)
#: As the tickets say it by default (docs/ticket-types.md): sealed, found out, worked on and read within so long.
UNSEALED: Final = timedelta(minutes=15)
UNKNOWN: Final = timedelta(hours=1)
UNTOUCHED: Final = timedelta(minutes=30)
UNREAD: Final = timedelta(minutes=15)
OLDEST_SERVER: Final = 150_000
LEAST_DISK: Final = 2_000_000_000  # bytes
_LIKE: Final = "SELECT bool_and(proleakproof) FROM pg_proc WHERE proname IN ('texticlike', 'textlike')"


class Ill(Exception):
    """Something is not as it must be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. `serious` ones make the doctor fail; the others are worth a look."""

    name: str
    ok: bool
    told: str
    serious: bool = True


def versions(now: datetime) -> str:
    """Which versions run here."""
    return f"Python {platform.python_version()}, Django {django.get_version()}"


def database(now: datetime) -> str:
    """PostgreSQL answers, is new enough, and we are nobody special there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int, current_setting('server_version'), rolname, rolsuper,"
            " rolbypassrls, pg_has_role('owner', 'MEMBER') FROM pg_roles WHERE rolname = current_user"
        )
        number, version, role, is_super, bypasses, owns = cursor.fetchone()
    if number < OLDEST_SERVER:
        raise Ill(f"PostgreSQL {version} is too old; 15 or newer is needed.")
    if is_super or bypasses or owns:
        raise Ill(f"We are connected as {role}, whom no wall stops. DATABASE_URL must name the role app.")
    return f"PostgreSQL {version} as {role}"


def walls(now: datetime) -> str:
    """Every client's table has forced row-level security with its policies."""
    tables = sorted(model._meta.db_table for model in walled_models() if model._meta.managed)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class c WHERE relname = ANY(%s) AND relrowsecurity AND relforcerowsecurity"
            " AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)",
            [tables],
        )
        missing = sorted(set(tables) - {name for (name,) in cursor.fetchall()})
    if missing:
        raise Ill(f"No wall around {', '.join(missing)}: run manage.py sync_walls as the owner.")
    return f"{len(tables)} tables walled"


def migrations(now: datetime) -> str:
    """The tables are those of this code."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        raise Ill(f"{len(plan)} migrations wait, the first is {plan[0][0]}: run manage.py migrate.")
    return "up to date"


def broker(now: datetime) -> str:
    """Valkey or Redis answers, evicts nothing, and keeps what it has over a restart."""
    if not settings.REDIS_URL:
        raise Ill("REDIS_URL is not set: no jobs, and every process has a budget of calls of its own.")
    client: Any = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=3)
    try:
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "")
        lasting = client.config_get("appendonly").get("appendonly", "")
    except redis.RedisError as error:
        raise Ill(f"It does not answer ({type(error).__name__}).") from error
    if policy not in ("", "noeviction"):
        raise Ill(f"maxmemory-policy is {policy}: messages get lost when memory is short; set noeviction.")
    if lasting == "no":
        raise Ill("appendonly is off: a restart forgets waiting messages; they come again, later.")
    return "answers, keeps everything"


def keys(now: datetime) -> str:
    """The key ring opens what lies sealed: the newest row of every sealed column of every client."""
    opened, shut = 0, []
    sealed = [
        (model, field)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, EncryptedTextField)
    ]
    for client in Client.objects.order_by("pk"):
        with tenancy.acting_for(client, actor="ops"):
            for model, field in sealed:
                value = model._default_manager.order_by("-pk").values_list(field.attname, flat=True).first()
                if value is None:
                    continue
                try:
                    field.open(value.token, client=client.pk)
                    opened += 1
                except crypto.Unreadable as error:
                    shut.append(f"{model._meta.db_table} of {client.slug} ({error.detail})")
    if shut:
        raise Ill(f"DOMVENTAS_KEYRING does not open {'; '.join(shut)}.")
    return f"{opened} kinds of secrets open with the key {crypto.current_key_id()}"


def beat(now: datetime) -> str:
    """Some beat fires, and beat's rows are those the code declares."""
    strays = timetable.strays()
    if strays:
        raise Ill(f"Beat has rows nobody declares ({', '.join(strays[:3])}): run manage.py sync_timetable.")
    if not PeriodicTask.objects.filter(enabled=True).exists():
        raise Ill("Beat has no rows: run manage.py sync_timetable.")
    last = Firing.objects.order_by("-fired_at").values_list("fired_at", flat=True).first()
    if last is None or now - last > BEAT_SILENT:
        raise Ill(f"Nothing has been fired since {last:%Y-%m-%d %H:%M} UTC." if last else "Nothing was ever fired.")
    return f"last fired {last:%H:%M:%S} UTC"


def freshness(now: datetime) -> str:
    """Every stream of every client is as fresh as it should be."""
    late, streams = [], 0
    for client in Client.objects.filter(active=True).order_by("pk"):
        with tenancy.acting_for(client, actor="ops"):
            rows = monitor.rows(now=now)
        streams += len(rows)
        bad = (
            monitor.Health.BROKEN, monitor.Health.FORBIDDEN, monitor.Health.FAILING, monitor.Health.LATE,
        )  # fmt: skip
        late += [f"{client.slug}: {row.account} {row.flow} is {row.health}" for row in rows if row.health in bad]
    if late:
        raise Ill(f"{len(late)} of {streams} streams: {'; '.join(late[:5])}")
    return f"{streams} streams"


def audit(now: datetime) -> str:
    """Every client's changes are sealed soon after they were made."""
    late = _of_each(lambda: [x for x in [seals.overdue(before=now - UNSEALED)] if x])
    if late:
        told = [f"{slug}: {x.count} since {x.since:%Y-%m-%d %H:%M} UTC" for slug, x in late]
        raise Ill(f"Changes nobody has sealed: {'; '.join(told[:5])}. Does platform.audit.seal run?")
    return "sealed"


def outbox(now: datetime) -> str:
    """Marketplaces were told what they had to be told, in the time each flow promises."""
    late = [
        f"{slug}: {x.place.account} {x.place.flow}, {x.count} wait since {x.oldest:%Y-%m-%d %H:%M} UTC"
        for slug, x in _of_each(lambda: backlog.unsent(now=now))
        if now - x.oldest > x.promise
    ]
    late += [
        f"{slug}: {x.place.account} {x.place.flow}, outcome of {x.count} unknown since {x.oldest:%Y-%m-%d %H:%M} UTC"
        for slug, x in _of_each(lambda: backlog.unsettled(before=now - UNKNOWN))
    ]
    stopped = _of_each(lambda: list(backlog.stopped_by_itself()))
    late += [f"{slug}: {place.account} {place.flow} has stopped by itself ({why})" for slug, (place, why) in stopped]
    if late:
        raise Ill("; ".join(late[:5]))
    return "nothing waits too long"


def events(now: datetime) -> str:
    """What marketplaces tell us is worked on, and their queues are read."""
    late = [
        f"{slug}: {x.place.account}, {x.count} events wait since {x.since:%Y-%m-%d %H:%M} UTC"
        for slug, x in _of_each(lambda: arrivals.waiting(before=now - UNTOUCHED))
    ]
    late += [
        f"{slug}: {x.place.account}, queue {x.queue or 'of the platform'} not read since {x.read_at:%Y-%m-%d %H:%M} UTC"
        for slug, x in _of_each(lambda: arrivals.listening(now=now))
        if now - x.read_at > UNREAD
    ]
    if late:
        raise Ill("; ".join(late[:5]))
    return "worked on as they come"


def _of_each(ask: Callable[[], Iterable[T]]) -> list[tuple[str, T]]:
    """What is found for each active client, with its name."""
    found: list[tuple[str, T]] = []
    for client in Client.objects.filter(active=True).order_by("pk"):
        with tenancy.acting_for(client, actor="ops"):
            found += [(client.slug, one) for one in ask()]
    return found


def searching(now: datetime) -> str:
    """Searching by part of a word may use its index behind the walls."""
    with connection.cursor() as cursor:
        cursor.execute(_LIKE)
        (marked,) = cursor.fetchone()
    if not marked:
        raise Ill("LIKE is not marked leakproof here: big lists search slowly; let a superuser run provision.")
    return "by index"


def disk(now: datetime) -> str:
    """There is room where this process writes."""
    free = shutil.disk_usage(settings.BASE_DIR).free
    if free < LEAST_DISK:
        raise Ill(f"Only {free / 1e9:.1f} GB are free.")
    return f"{free / 1e9:,.0f} GB free"


def secrets(now: datetime) -> str:
    """No secret of the demo serves others."""
    if settings.LOOPBACK_ONLY and not settings.OWN_SERVERS:
        raise Ill("SECRET_KEY is the demo's, which everybody knows.")
    named = [name for name in os.environ if name.startswith("DATABASE_") and name.endswith("_FILE")]
    return "the demo's, this machine alone is answered" if settings.LOOPBACK_ONLY else f"set{', by file' * bool(named)}"


#: Examination → whether its failure is serious.
EXAMINATIONS: Final[dict[Callable[[datetime], str], bool]] = {
    versions: True, database: True, walls: True, migrations: True, broker: True, keys: True, secrets: True,
    beat: False, freshness: False, audit: False, outbox: False, events: False, searching: False, disk: False,
}  # fmt: skip


def examine(*, now: datetime, only: list[str] | None = None) -> list[Finding]:
    """Every examination, or those named; one that breaks is a finding, never an end."""
    found = []
    for look, serious in EXAMINATIONS.items():
        if only and look.__name__ not in only:
            continue
        try:
            found.append(Finding(name=look.__name__, ok=True, told=look(now), serious=serious))
        except Ill as ill:
            found.append(Finding(name=look.__name__, ok=False, told=str(ill), serious=serious))
        except Exception as error:  # whatever it is, the other answers are wanted all the more
            told = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
            found.append(Finding(name=look.__name__, ok=False, told=told, serious=serious))
            connection.close()
    return found
