"""What only a superuser may do, once per server and once per database: roles, extensions, privileges, marks."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier, Literal

ROLES: Final = {"owner": "NOBYPASSRLS", "app": "NOBYPASSRLS", "ops": "BYPASSRLS CREATEDB"}
EXTENSIONS: Final = ("pg_trgm", "btree_gist")
# Marked leakproof, LIKE may use its trigram index under row-level security (50 ms without, 1 ms with).
LIKE: Final = ("texticlike(text,text)", "textlike(text,text)", "texticnlike(text,text)", "textnlike(text,text)")


def provision(superuser_url: str, database: str, *, passwords: dict[str, str] | None = None) -> list[str]:
    """Make roles and database if missing and put what the walls stand on; may be repeated.

    Args:
        passwords: by role, for servers that ask for them; roles not named keep theirs.

    Returns:
        Notes on what the server did not allow.
    """
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        _make_roles(connection, passwords or {})
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            connection.execute(SQL("CREATE DATABASE {} OWNER owner").format(Identifier(database)))
    with psycopg.connect(superuser_url, dbname=database, autocommit=True) as connection:
        _prepare_database(connection)
        return _mark_leakproof(connection)


def _make_roles(connection: psycopg.Connection, passwords: dict[str, str]) -> None:
    for role, attributes in ROLES.items():
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
            connection.execute(f"CREATE ROLE {role} LOGIN NOSUPERUSER {attributes}".encode())
        if role in passwords:
            connection.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), Literal(passwords[role])))
    connection.execute("GRANT pg_signal_backend TO ops")  # to end app's sessions before a database is dropped
    connection.execute("GRANT ops TO owner")  # so that owner may hand the audit function over to ops


def _prepare_database(connection: psycopg.Connection) -> None:
    for extension in EXTENSIONS:
        connection.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}".encode())
    connection.execute("ALTER SCHEMA public OWNER TO owner")
    connection.execute("GRANT USAGE ON SCHEMA public TO app")
    connection.execute("GRANT USAGE, CREATE ON SCHEMA public TO ops")
    default = "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT "
    for grant in (
        "SELECT, INSERT, UPDATE, DELETE ON TABLES TO app",
        "USAGE, SELECT ON SEQUENCES TO app",
        "ALL ON TABLES TO ops",
        "ALL ON SEQUENCES TO ops",
    ):
        connection.execute((default + grant).encode())


def _mark_leakproof(connection: psycopg.Connection) -> list[str]:
    notes = []
    for function in LIKE:
        try:
            connection.execute(f"ALTER FUNCTION pg_catalog.{function} LEAKPROOF".encode())
        except psycopg.errors.InsufficientPrivilege:
            notes.append(f"{function} is not leakproof here: searching a big table by part of a word is slow")
    return notes
