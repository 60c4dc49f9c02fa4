"""The walls between clients stand in the database: tried with the filter, without it, by name, and as the owner."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.checks import run_checks
from django.db import IntegrityError, ProgrammingError, connection, connections, models, transaction

from domventas.core import bulk, partitions
from domventas.core.checks import walled_models
from domventas.core.fields import ClientForeignKey
from domventas.core.models import AuditEntry, ClientModel, ClientPart, Membership, Threshold
from domventas.core.roles import Role
from domventas.core.tenancy import NoClient, acting_for
from domventas.core.tests.conftest import House
from domventas.core.walls import sync_walls

pytestmark = pytest.mark.db


def rows(sql: str, *parameters: object, using: str = "default") -> list[tuple[object, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall()


def test_we_connect_as_a_role_without_privileges(db: None) -> None:
    mine = rows("SELECT current_user, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user")
    assert mine == [("app", False, False)]
    assert rows("SELECT pg_has_role('app', 'owner', 'MEMBER'), pg_has_role('app', 'ops', 'MEMBER')") == [(False, False)]
    assert rows("SELECT count(*) FROM pg_class WHERE relowner = 'app'::regrole AND relkind IN ('r', 'p', 'S')") == [
        (0,)
    ]


def test_every_table_with_a_client_is_walled(alba: House) -> None:
    """The catalog is walked, so a table or partition that no model knows is found too."""
    unwalled = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'client_id'"
        " WHERE c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity"
        " AND (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid) = 2)"
    )
    allowed = {"core_membership", "core_route", "core_apitoken"}
    assert {name for (name,) in unwalled} <= allowed


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
def test_the_reconciler_is_idempotent_and_repairs_what_was_torn_down() -> None:
    assert sync_walls() == []
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "DROP POLICY wall_client ON core_threshold; CREATE POLICY wall_client ON core_threshold USING (true);"
            "CREATE POLICY back_door ON core_threshold USING (true);"
            "ALTER TABLE core_threshold NO FORCE ROW LEVEL SECURITY; GRANT INSERT ON core_auditentry TO app;"
            "DROP TRIGGER audit_update ON core_threshold; GRANT INSERT ON django_admin_log TO app;"
            "ALTER TABLE core_membership DISABLE TRIGGER audit_write;"
            "CREATE TABLE core_auditentry_odd PARTITION OF core_auditentry"
            " FOR VALUES FROM ('2020-12-01') TO ('2021-01-01')"
        )
    done = sync_walls()
    for name in (
        "back_door",
        "FORCE",
        'audit_write ON "core_membership"',
        "audit_update",
        "core_auditentry_odd",
        "django_admin_log",
        "REVOKE ALL",
    ):
        assert any(name in statement for statement in done), name
    assert sync_walls() == []


@pytest.mark.parametrize("model", walled_models(), ids=lambda model: model._meta.label)
def test_without_the_filter_of_the_manager_the_wall_still_stands(
    alba: House, corvo: House, model: type[ClientModel]
) -> None:
    plain: models.QuerySet[ClientModel] = models.QuerySet(model)
    assert plain.count() == 0
    for house in (alba, corvo):
        with acting_for(house.client):
            assert {row.client_id for row in plain.all()} <= {house.client.pk}
            assert plain.count() == model._base_manager.count()
    with pytest.raises(NoClient):
        model._base_manager.count()


def test_both_clients_have_rows_behind_the_wall_in_these_tests(alba: House, corvo: House) -> None:
    for house in (alba, corvo):
        with acting_for(house.client):
            assert models.QuerySet(Threshold).count() == 1
            assert models.QuerySet(AuditEntry).count() == 2  # the limit and the membership


def test_a_partition_cannot_be_asked_by_its_own_name(alba: House) -> None:
    [(name,)] = rows("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'core_auditentry'::regclass")
    with acting_for(alba.client), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        rows(f'SELECT * FROM "{name}"')


def test_another_clients_row_can_neither_be_made_nor_changed_nor_deleted(alba: House, corvo: House) -> None:
    with acting_for(alba.client):
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Threshold.objects.create(client=corvo.client, code="x", value=1)
        theirs = Threshold.objects.filter(pk=corvo.limit.pk)
        assert (theirs.update(value=5), theirs.delete()[0]) == (0, 0)
        with pytest.raises(Threshold.DoesNotExist):
            corvo.limit.refresh_from_db()
        corvo.limit.value = 5
        with pytest.raises((IntegrityError, ProgrammingError)), transaction.atomic():
            corvo.limit.save()  # the UPDATE finds nothing, Django then inserts, and is refused
    with acting_for(corvo.client):
        assert Threshold.objects.get().value == 1


def test_changes_are_written_down_by_the_database_itself(alba: House) -> None:
    with acting_for(alba.client, actor="ines", request="r1"):
        Threshold.objects.update(value=5)
        Threshold.objects.update(value=5)  # nothing changed, nothing written
        made, changed = AuditEntry.objects.filter(table="core_threshold").order_by("pk")
        assert (made.before, made.after and made.after["code"]) == (None, "alba-margin")
        assert (changed.actor, changed.request, changed.row) == ("ines", "r1", alba.limit.pk)
        assert changed.before and changed.after
        assert (changed.before["value"], changed.after["value"]) == (1, 5)
        Threshold.objects.all().delete()
        gone = AuditEntry.objects.get(table="core_threshold", after__isnull=True)
        assert gone.before and gone.before["code"] == "alba-margin"


@pytest.mark.parametrize("attack", ["delete", "update"])
def test_the_audit_cannot_be_changed(alba: House, attack: str) -> None:
    with acting_for(alba.client), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        entries = AuditEntry.objects.all()
        entries.delete() if attack == "delete" else entries.update(actor="nobody")


def test_a_role_given_to_somebody_is_written_down_though_its_table_has_no_wall(alba: House, corvo: House) -> None:
    membership = Membership.objects.get(user=corvo.user)
    membership.role = Role.AUDITOR
    membership.save()
    with acting_for(corvo.client):
        entry = AuditEntry.objects.get(table="core_membership", before__isnull=False)
        assert entry.before and entry.after
        assert (entry.before["role"], entry.after["role"]) == ("admin", "auditor")
    with acting_for(alba.client):
        assert not AuditEntry.objects.filter(row=membership.pk, table="core_membership").exists()


def test_djangos_own_log_is_shut(alba: House) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        LogEntry.objects.create(user=alba.user, action_flag=1, object_repr="x")


def test_partitions_are_made_once_and_only_for_walled_tables(db: None) -> None:
    days = [date(2031, 1, 31), date(2031, 1, 1), date(2031, 2, 1)]
    assert partitions.ensure(AuditEntry, days) == 2
    assert partitions.ensure(AuditEntry, days) == 0
    with pytest.raises(Exception, match="not a walled table"), transaction.atomic():
        rows("SELECT core_make_partition('core_client', '2031-01-01')")
    with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        rows("SELECT core_drop_partition('core_auditentry', '2031-01-01')")
    with acting_for(1), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        rows("SELECT * FROM core_auditentry_y2031m01")


@pytest.mark.django_db(transaction=True, databases=["default", "ops"])
def test_two_workers_may_need_the_same_new_month_at_once() -> None:
    month = date(2031, 5, 1)

    def second() -> int:
        try:
            return partitions.ensure(AuditEntry, [month])
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            assert partitions.ensure(AuditEntry, [month]) == 1
            waiting = other.submit(second)
            while not waiting.done() and not rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                time.sleep(0.01)
        assert waiting.result(timeout=10) == 0
    assert partitions.drop(AuditEntry, month)


def test_statistics_may_be_refreshed_by_the_application(db: None) -> None:
    partitions.analyze(Threshold)


@pytest.mark.django_db(transaction=True, databases=["default", "ops"])
def test_a_month_is_dropped_as_a_whole_by_ops() -> None:
    partitions.ensure(AuditEntry, [date(2031, 1, 31)])
    assert partitions.drop(AuditEntry, date(2031, 1, 1))
    assert not partitions.drop(AuditEntry, date(2031, 1, 1))


def test_the_system_checks_find_nothing(db: None) -> None:
    assert [message for message in run_checks() if str(message.id).startswith("core.")] == []


def test_the_newest_rows_come_in_the_order_of_the_index(alba: House) -> None:
    with acting_for(alba.client), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = AuditEntry.objects.order_by("-at")[:50].explain()
    assert "client_id_at" in plan or "_at_" in plan


def test_every_reference_inside_a_client_has_its_composite_key_except_those_that_say_not(db: None) -> None:
    columns = [(model._meta.db_table, field) for model in walled_models() for field in model._meta.local_fields]
    wanted = {(table, f.column) for table, f in columns if isinstance(f, ClientForeignKey) and f.db_wall}
    found = rows(
        "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c JOIN pg_attribute a"
        " ON a.attrelid = c.conrelid AND a.attnum = c.conkey[2]"
        " WHERE c.contype = 'f' AND cardinality(c.conkey) = 2 AND c.conparentid = 0"
    )
    assert wanted == set(found)
    assert len(wanted) > 10


def test_every_row_proves_its_client_by_its_own_key_or_by_that_of_the_row_it_is_part_of(db: None) -> None:
    own = set(
        rows(
            "SELECT conrelid::regclass::text FROM pg_constraint"
            " WHERE contype = 'f' AND confrelid = 'core_client'::regclass"
        )
    )
    without = [model for model in walled_models() if (model._meta.db_table,) not in own]
    proofs = {model: [f for f in model._meta.local_fields if isinstance(f, ClientForeignKey)] for model in without}
    assert all(issubclass(model, ClientPart) for model in without)
    assert all(any(f.db_wall and not f.null for f in proofs[model]) for model in without)
    assert len(without) > 5


def test_a_reference_to_another_clients_row_is_refused_whoever_writes_it(alba: House, corvo: House) -> None:
    brand_model: Any = apps.get_model("catalog", "Brand")
    product_model: Any = apps.get_model("catalog", "Product")
    with acting_for(corvo.client):
        theirs = brand_model.objects.create(code="luz", name="Luz")
    with acting_for(alba.client):
        with pytest.raises(IntegrityError, match="wall"), transaction.atomic():
            product_model.objects.create(brand_id=theirs.pk, code="lamp", title="Lamp")
            connection.check_constraints()
        with pytest.raises(IntegrityError, match="wall"), transaction.atomic():
            bulk.upsert(product_model, ("brand", "code", "title"), [(theirs.pk, "lamp", "Lamp")], ("code",))
            connection.check_constraints()


def test_members_limited_to_brands_see_only_those_along_every_way(alba: House) -> None:
    brand_model: Any = apps.get_model("catalog", "Brand")
    product_model: Any = apps.get_model("catalog", "Product")
    with acting_for(alba.client):
        brands = [brand_model.objects.create(code=code, name=code) for code in ("luz", "mar")]
        for brand in brands:
            product_model.objects.create(brand=brand, code=brand.code, title="x")
        assert product_model.objects.count() == 2
    for brand in brands:
        with acting_for(alba.client, brands=[brand.pk]):
            assert [row.code for row in brand_model.objects.all()] == [brand.code]
            assert [row.code for row in product_model.objects.all()] == [brand.code]
            assert product_model.objects.filter(brand__code=brand.code).count() == 1
    with acting_for(alba.client, brands=[0]):
        assert product_model.objects.count() == 0


@pytest.mark.parametrize("model", [m for m in walled_models() if m.brand_path], ids=lambda model: model._meta.label)
def test_the_way_to_the_brand_can_be_asked_of_the_database(alba: House, model: type[ClientModel]) -> None:
    with acting_for(alba.client, brands=[1, 2]):
        assert model.objects.count() == 0
