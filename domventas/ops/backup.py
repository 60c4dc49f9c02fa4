"""Backups by the role that sees every client, and the drill that proves one can be lived from.

A backup is a dump and, beside it, a manifest of what lies in it: rows per table of the very same snapshot, the size
and the hash of the file. A backup nobody has restored is a hope; the drill restores it into a database of its own,
counts every table again, holds the rules of the books against it, opens secrets with the key ring, and drops it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import psycopg
from django.conf import settings
from psycopg.sql import SQL, Identifier

from domventas.core.errors import DomventasError
from domventas.ops.bench import databases
from domventas.settings import env

_CHUNK: Final = 1 << 20
#: Tables the restored copy is asked for as a stranger: behind the walls nothing may show.
_WALLED: Final = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relforcerowsecurity
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_TABLES: Final = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition ORDER BY c.relname
"""


class BackupFailed(DomventasError):
    """The dump could not be written, or is not what its manifest says."""

    message = "The backup failed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a dump holds: rows by table as of one snapshot; size [bytes] and hash of the file."""

    file: str
    made_at: str
    database: str
    server: str
    size: int
    sha256: str
    tables: dict[str, int]


@dataclass(slots=True, kw_only=True)
class Drill:
    """How a restore went. `differences`: table → (rows in the manifest, rows restored)."""

    tables: int = 0
    rows: int = 0
    differences: dict[str, tuple[int, int]] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    books: bool = False
    keys: bool = False
    problems: list[str] = field(default_factory=list)
    restore_seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """One could go on living from this backup."""
        return self.books and self.keys and not (self.differences or self.leaks or self.problems)


def back_up(folder: Path, *, now: datetime) -> Manifest:
    """Dump the whole database as `ops` into a folder; the manifest lies beside it. Needs DATABASE_OPS_URL.

    Raises: BackupFailed: pg_dump refused; nothing half-written keeps its final name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = env("DATABASE_OPS_URL")
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        name, server, snapshot = connection.execute(
            "SELECT current_database(), current_setting('server_version'), pg_export_snapshot()"
        ).fetchone() or ("", "", "")
        path = folder / f"{name}-{now:%Y%m%dT%H%M%SZ}.dump"
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={part}", url=url)
        tables = _counts(connection)
    part.rename(path)
    manifest = Manifest(
        file=path.name, made_at=now.isoformat(), database=name, server=server, size=path.stat().st_size,
        sha256=_hash(path), tables=tables,
    )  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    return manifest


def newest(folder: Path) -> Path | None:
    """The youngest complete backup of a folder."""
    return max((path for path in folder.glob("*.dump") if path.with_suffix(".json").exists()), default=None)


def thin_out(folder: Path, *, keep: int) -> list[str]:
    """Remove all but the `keep` youngest complete backups; returns the names of those removed."""
    whole = sorted(path for path in folder.glob("*.dump") if path.with_suffix(".json").exists())
    old = whole[: max(0, len(whole) - keep)]
    for path in old:
        path.unlink()
        path.with_suffix(".json").unlink()
    return [path.name for path in old]


def restore_drill(path: Path) -> Drill:
    """Restore a backup into a throw-away database and look whether it is whole. Needs DATABASE_SUPERUSER_URL.

    Raises: BackupFailed: there is no manifest, the file is not the one it describes, or pg_restore refused.
    """
    manifest = read_manifest(path)
    if (size := path.stat().st_size) != manifest.size or _hash(path) != manifest.sha256:
        raise BackupFailed(f"{path.name} is not the file its manifest describes ({size} of {manifest.size} bytes).")
    drill = Drill()
    with databases.fresh() as name:
        started = time.monotonic()
        target = _at(env("DATABASE_SUPERUSER_URL"), name)
        _run("pg_restore", "--exit-on-error", "--jobs=2", str(path), url=target)
        drill.restore_seconds = time.monotonic() - started
        environment = databases.environment(name)
        _compare(drill, manifest, environment)
        drill.books = _child(drill, environment, "verify_books", "--json")
        drill.keys = _child(drill, environment, "doctor", "--only", "keys", "--json")
    return drill


def read_manifest(path: Path) -> Manifest:
    """What a dump should hold. Raises: BackupFailed: no manifest, or not ours."""
    try:
        return Manifest(**json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BackupFailed(f"{path.name} has no readable manifest beside it.", detail=str(error)) from error


def _compare(drill: Drill, manifest: Manifest, environment: dict[str, str]) -> None:
    """Count every table again, and ask the walled ones as somebody who acts for no client."""
    with psycopg.connect(environment["DATABASE_OPS_URL"]) as ops:
        found = _counts(ops)
    drill.tables, drill.rows = len(found), sum(found.values())
    drill.differences = {
        table: (manifest.tables.get(table, 0), found.get(table, 0))
        for table in sorted({*manifest.tables, *found})
        if manifest.tables.get(table) != found.get(table)
    }
    with psycopg.connect(environment["DATABASE_URL"]) as app:
        walled = [table for (table,) in app.execute(_WALLED).fetchall()]
        for table in walled:
            readable = app.execute("SELECT has_table_privilege(%s, 'SELECT')", [table]).fetchone()
            query = SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(table))
            if readable == (True,) and app.execute(query).fetchone() != (False,):
                drill.leaks.append(table)
    if not walled:
        drill.problems.append("no table of the restored database is walled")


def _child(drill: Drill, environment: dict[str, str], *words: str) -> bool:
    """One of our own commands on the restored database."""
    done = subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), *words],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        drill.problems.append(f"{' '.join(words)}: {done.stderr.strip()[-500:]}")
    return done.returncode == 0


def _counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows by table; partitions count with their parent."""
    counts = {}
    for (table,) in connection.execute(_TABLES).fetchall():
        ((rows,),) = connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchall()
        counts[table] = int(rows)
    return counts


def _run(program: str, *options: str, url: str) -> None:
    """One of PostgreSQL's programs; its own words are the error, without the address and its password.

    The password is handed over in the environment: everybody on the machine may read how a program was called.
    """
    folder, environment = programs()
    if password := urlsplit(url).password:
        url, environment = url.replace(f":{password}@", "@", 1), environment | {"PGPASSWORD": unquote(password)}
    done = subprocess.run(
        [str(folder / program) if folder else program, f"--dbname={url}", *options],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        told = re.sub(r"postgres(ql)?://\S+", "the database", done.stderr.strip()[-1500:])
        raise BackupFailed(f"{program} says: {told}")


def programs() -> tuple[Path | None, dict[str, str]]:
    """Where pg_dump and pg_restore lie (None: on PATH) and what they need: those of the server, as it may be newer."""
    if settings.OWN_SERVERS:
        import devservers

        server = devservers.Postgres(devservers.Place("demo"))
        return server.programs, server.environment()
    if given := os.environ.get("DOMVENTAS_PG_BIN"):
        return Path(given), {}
    if shutil.which("pg_dump") is None:
        raise BackupFailed("pg_dump is not on PATH: install PostgreSQL's client programs or set DOMVENTAS_PG_BIN.")
    return None, {}


def _at(url: str, database: str) -> str:
    """The same server, another database."""
    return re.sub(r"(?<=@)([^/]*)/[^?]*", rf"\1/{database}", url)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
