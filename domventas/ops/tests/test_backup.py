"""A backup is restored for real, by the programs people use, and a lie about it is found."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from domventas.core import tenancy
from domventas.core.models import Client
from domventas.ops import backup, doctor
from marketplaces.models import Account, Credential
from marketplaces.services.accounts import create_account

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRETS = {"api_key": "sandbox-bunnings-key", "shop_id": "2042"}


@pytest.fixture
def clients(transactional_db: None) -> Iterator[list[Client]]:
    """Two clients with an account and sealed secrets each."""
    made = [Client.objects.create(slug=slug, name=slug) for slug in ("dom-ventas", "other-house")]
    for client in made:
        with tenancy.acting_for(client, actor="test"):
            create_account(
                channel="bunnings", code="bunnings-au", name="Bunnings AU", external_id="2042",
                sites=["bunnings.com.au"], secrets=SECRETS, now=NOW,
            )  # fmt: skip
    yield made


@pytest.fixture
def dump(clients: list[Client], tmp_path: Path) -> Path:
    manifest = backup.back_up(tmp_path / "backups", now=NOW)
    assert manifest.tables["marketplaces_account"] == 2
    return tmp_path / "backups" / manifest.file


@pytest.mark.db
def test_a_backup_can_be_lived_from(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    call_command("restore_drill", str(dump.parent), json=True, stdout=out, stderr=StringIO())
    told = json.loads(out.getvalue().splitlines()[-1])
    assert told["ok"] and told["books"] and told["keys"]
    assert (told["differences"], told["leaks"], told["problems"]) == ({}, [], [])
    assert told["tables"] > 40 and told["rows"] > 10
    with psycopg.connect(os.environ["DATABASE_SUPERUSER_URL"]) as server:
        left = server.execute(f"SELECT datname FROM pg_database WHERE datname LIKE 'bench_{os.getpid()}_%'").fetchall()
    assert left == [], "the throw-away database is still there"
    # With another key ring everything is there and nothing opens: that is no backup to live from.
    monkeypatch.setenv("DOMVENTAS_KEYRING", "YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlcjE=")
    drill = backup.restore_drill(dump)
    assert not drill.ok and not drill.keys and "does not open" in drill.problems[0]
    assert SECRETS["api_key"] not in str(drill.problems)


def test_a_manifest_that_promises_more_is_found_out(dump: Path) -> None:
    beside = dump.with_suffix(".json")
    told = json.loads(beside.read_text())
    told["tables"]["marketplaces_account"] += 1
    beside.write_text(json.dumps(told))
    assert backup.restore_drill(dump).differences == {"marketplaces_account": (3, 2)}


def test_a_changed_cut_or_nameless_dump_is_refused_in_words(dump: Path) -> None:
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1])
    with pytest.raises(CommandError, match="is not the file its manifest describes"):
        call_command("restore_drill", str(dump))
    dump.write_bytes(whole[:-1] + b"?")
    with pytest.raises(CommandError, match="is not the file its manifest describes"):
        call_command("restore_drill", str(dump))
    dump.with_suffix(".json").unlink()
    with pytest.raises(CommandError, match="no readable manifest"):
        call_command("restore_drill", str(dump))
    with pytest.raises(CommandError, match="no backup"):
        call_command("restore_drill", str(dump.parent))


def test_a_dump_holds_no_secret_in_plain_and_only_so_many_are_kept(dump: Path) -> None:
    assert SECRETS["api_key"].encode() not in dump.read_bytes()
    assert dump.stat().st_mode & 0o077 == 0, "others may read it"
    for hour in (1, 2, 3):
        backup.back_up(dump.parent, now=NOW.replace(hour=hour))
    assert len(backup.thin_out(dump.parent, keep=2)) == 2
    kept = sorted(dump.parent.iterdir())
    assert len(kept) == 4 and backup.newest(dump.parent) == kept[-2 if kept[-1].suffix == ".json" else -1]


def test_pg_dumps_own_words_are_told_without_the_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(backup.BackupFailed) as told:
        backup._run("pg_dump", url="postgresql://ops:s3cret-word@/nowhere?host=/nowhere")
    assert "pg_dump says" in told.value.message and "s3cret-word" not in str(told.value)


def test_how_a_program_is_called_tells_no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\necho "$PGPASSWORD" > {tmp_path}/given\n')
    program.chmod(0o700)
    monkeypatch.setattr(backup, "programs", lambda: (tmp_path, {}))
    backup._run("pg_dump", "--format=custom", url="postgresql://ops:s3cret%2Fword@db:5432/domventas")
    assert (tmp_path / "called").read_text() == "--dbname=postgresql://ops@db:5432/domventas --format=custom\n"
    assert (tmp_path / "given").read_text() == "s3cret/word\n"


def test_the_doctor_finds_a_missing_wall_a_foreign_key_ring_and_waiting_migrations(
    clients: list[Client], settings: Any
) -> None:
    def ill() -> dict[str, str]:
        return {one.name: one.told for one in doctor.examine(now=NOW) if one.serious and not one.ok}

    assert ill() == {}
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as owner:
        owner.execute("ALTER TABLE marketplaces_account NO FORCE ROW LEVEL SECURITY")
        owner.execute("DELETE FROM django_migrations WHERE app = 'reports' OR (app = 'tickets')")
    settings.KEYRING = ["YW5vdGhlci1rZXktYW5vdGhlci1rZXktYW5vdGhlcjE="]
    settings.REDIS_URL = "unix:///nowhere/valkey.sock?db=0"
    found = ill()
    assert set(found) == {"walls", "migrations", "keys", "broker"}
    assert "marketplaces_account" in found["walls"] and "sync_walls" in found["walls"]
    with pytest.raises(CommandError, match="walls"):
        call_command("doctor", stdout=StringIO())


def test_the_doctor_says_which_client_cannot_be_opened(clients: list[Client]) -> None:
    with tenancy.acting_for(clients[1], actor="test"):
        stolen = Credential.objects.filter(account=Account.objects.get()).values_list("pk", flat=True)[0]
    with psycopg.connect(os.environ["DATABASE_OPS_URL"], autocommit=True) as ops:
        ops.execute(
            "UPDATE marketplaces_credential AS mine SET secrets = other.secrets FROM marketplaces_credential AS other"
            " WHERE mine.id = %s AND other.id <> mine.id",
            [stolen],
        )
    (found,) = doctor.examine(now=NOW, only=["keys"])
    assert not found.ok and "other-house" in found.told and "dom-ventas (" not in found.told
