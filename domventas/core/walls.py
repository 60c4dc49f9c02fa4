"""What makes a client's table a walled one: compared with the catalog, and only the differences are carried out.

Run as owner after every migration, and by `manage.py sync_walls`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from domventas.core import wall_functions
from domventas.core.fields import ClientForeignKey
from domventas.core.wall_functions import MINE, ONE

if TYPE_CHECKING:
    from django.db.models import Field, Model

    from domventas.core.models import ClientModel

#: Django's own log keeps the names of all clients' objects in one table: nobody writes it.
SHUT_TABLES: Final = ("django_admin_log",)


@dataclass(frozen=True, slots=True)
class _Table:
    kind: str
    is_walled: bool
    parent: str | None


@dataclass(frozen=True, slots=True)
class _Catalog:
    """What the database holds now."""

    tables: dict[str, _Table]
    constraints: frozenset[tuple[str, str]]
    triggers: dict[tuple[str, str], str]
    policies: dict[tuple[str, str], tuple[str, ...]]
    grants: dict[str, frozenset[str]]


def after_migrate(using: str, **kwargs: Any) -> None:
    """Receiver of `post_migrate`."""
    if using == "owner":
        sync_walls()


def sync_walls(alias: str = "owner") -> list[str]:
    """Bring every client's table in line; returns the statements that were needed, none the second time."""
    done: list[str] = []
    with transaction.atomic(alias), connections[alias].cursor() as cursor:

        def carry_out(statements: Iterator[str]) -> None:
            for statement in statements:
                cursor.execute(statement)
                done.append(statement)

        carry_out(wall_functions.differences(cursor))
        have = _read(cursor)
        carry_out(_walls(have, _reference_policies(cursor)))
        carry_out(_references(have))
        carry_out(_triggers(have))
    return done


def models_by_table() -> dict[str, type[ClientModel]]:
    """Every walled model by its table."""
    from domventas.core.checks import walled_models

    return {model._meta.db_table: model for model in walled_models()}


def _walls(have: _Catalog, wanted: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """Row-level security, policies and grants of every table and partition."""
    models = models_by_table()
    for shut in SHUT_TABLES:
        if have.grants.get(shut, frozenset()) & {"INSERT", "UPDATE", "DELETE"}:
            yield f'REVOKE INSERT, UPDATE, DELETE ON "{shut}" FROM app'
    for name, table in have.tables.items():
        model = models.get(name) or models.get(table.parent or "")
        if model is not None:
            yield from _wall_of(name, model, have, wanted)


def _wall_of(name: str, model: type[ClientModel], have: _Catalog, wanted: dict[str, tuple[str, ...]]) -> Iterator[str]:
    table = have.tables[name]
    if not table.is_walled:
        yield f'ALTER TABLE "{name}" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY'
    for policy, (to, using, check) in wanted.items():
        if have.policies.get((name, policy)) != (to, using, check):
            yield f'DROP POLICY IF EXISTS {policy} ON "{name}"'
            yield f'CREATE POLICY {policy} ON "{name}" TO {to} USING ({using}) WITH CHECK ({check})'
    for policy in [p for t, p in have.policies if t == name and p not in wanted]:
        yield f'DROP POLICY "{policy}" ON "{name}"'
    # A partition asked by its own name would be a door of its own.
    may = "" if table.parent else model.app_may
    if have.grants.get(name, frozenset()) != _privileges(may):
        yield f'REVOKE ALL ON "{name}" FROM app'
        if may:
            yield f'GRANT {may} ON "{name}" TO app'


def _references(have: _Catalog) -> Iterator[str]:
    """Composite foreign keys: a reference cannot leave its client. Unique keys first, as they point at them."""
    models = {table: model for table, model in models_by_table().items() if table in have.tables}
    targets = {field.related_model for model in models.values() for field in _references_of(model)}
    for table, model in models.items():
        if model in targets and (table, f"{table}_client_id_key") not in have.constraints:
            yield f'ALTER TABLE "{table}" ADD CONSTRAINT "{table}_client_id_key" UNIQUE (client_id, id)'
    for table, model in models.items():
        for field in _references_of(model):
            target = field.related_model._meta.db_table
            name = f"{table}_{field.column}_wall"[:63]
            if target in have.tables and (table, name) not in have.constraints:
                yield (
                    f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" FOREIGN KEY (client_id, "{field.column}") '
                    f'REFERENCES "{target}" (client_id, id) DEFERRABLE INITIALLY DEFERRED'
                )


def _triggers(have: _Catalog) -> Iterator[str]:
    """The audit triggers; their arguments name the columns that hold secrets, and what they are limited to."""
    for model in apps.get_models():
        table = model._meta.db_table
        audited: bool | tuple[str, ...] = getattr(model, "audited", False)
        if table not in have.tables:
            continue
        given = [str(f.column) for f in model._meta.local_fields if getattr(f, "encrypted", False)]
        differs = "OLD.* IS DISTINCT FROM NEW.*"
        if isinstance(audited, tuple):
            given.append(f"only {' '.join(audited)}")  # kept with the trigger, so that another list is noticed
            differs = " OR ".join(f'OLD."{column}" IS DISTINCT FROM NEW."{column}"' for column in audited)
        arguments = ", ".join(f"'{one}'" for one in given)
        for name, event, when, wanted in (
            ("audit_write", "INSERT OR DELETE", "", audited is True),
            ("audit_update", "UPDATE", f"WHEN ({differs})", bool(audited)),
        ):
            has = have.triggers.get((table, name))
            if has is not None and (not wanted or has != ",".join(given)):
                yield f'DROP TRIGGER {name} ON "{table}"'
                has = None
            if wanted and has is None:
                yield (
                    f'CREATE TRIGGER {name} AFTER {event} ON "{table}" FOR EACH ROW {when} '
                    f"EXECUTE FUNCTION core_audit({arguments})"
                )


def _references_of(model: type[Model]) -> list[Any]:
    fields: list[Field[Any, Any]] = list(model._meta.local_fields)
    return [field for field in fields if isinstance(field, ClientForeignKey) and field.db_wall]


def _privileges(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def _rows(cursor: CursorWrapper, sql: str) -> list[Any]:
    cursor.execute(sql)
    found: list[Any] = cursor.fetchall()
    return found


def _read(cursor: CursorWrapper) -> _Catalog:
    tables = _rows(
        cursor,
        "SELECT c.relname, c.relkind, c.relrowsecurity AND c.relforcerowsecurity, p.relname FROM pg_class c"
        " LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1",
    )
    constraints = _rows(
        cursor,
        "SELECT r.relname, c.conname FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid"
        " WHERE c.connamespace = 'public'::regnamespace",
    )
    # A trigger that somebody switched off counts as one with other arguments, and is made anew.
    triggers = _rows(
        cursor,
        "SELECT c.relname, t.tgname, CASE t.tgenabled WHEN 'O'"
        " THEN trim(trailing ',' from replace(encode(t.tgargs, 'escape'), '\\000', ',')) ELSE 'off' END"
        " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgparentid = 0",
    )
    grants = _rows(
        cursor,
        "SELECT table_name, array_agg(privilege_type::text) FROM information_schema.role_table_grants"
        " WHERE grantee = 'app' AND table_schema = 'public' GROUP BY 1",
    )
    return _Catalog(
        tables={name: _Table(kind, walled, parent) for name, kind, walled, parent in tables},
        constraints=frozenset((table, name) for table, name in constraints),
        triggers={(table, name): arguments for table, name, arguments in triggers},
        policies=_policies(cursor),
        grants={table: frozenset(privileges) for table, privileges in grants},
    )


def _policies(cursor: CursorWrapper) -> dict[tuple[str, str], tuple[str, ...]]:
    rows = _rows(
        cursor,
        "SELECT c.relname, p.polname,"
        " (SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE pg_get_userbyid(r) END, ',') FROM unnest(p.polroles) r),"
        " pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)"
        " FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid",
    )
    return {(table, name): (roles, using, check) for table, name, roles, using, check in rows}


def _reference_policies(cursor: CursorWrapper) -> dict[str, tuple[str, ...]]:
    """The two policies in this server's own spelling, read back from a temporary table."""
    cursor.execute("CREATE TEMP TABLE wall_reference (client_id bigint) ON COMMIT DROP")
    cursor.execute(f"CREATE POLICY wall_client ON wall_reference USING ({MINE}) WITH CHECK ({ONE})")
    cursor.execute("CREATE POLICY wall_owner ON wall_reference TO owner USING (true) WITH CHECK (true)")
    found = {name: value for (table, name), value in _policies(cursor).items() if table == "wall_reference"}
    cursor.execute("DROP TABLE wall_reference")
    return found
