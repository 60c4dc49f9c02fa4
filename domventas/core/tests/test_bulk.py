"""Bulk writes: nothing changes twice, nothing old wins, nothing inexact gets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db import DataError, connection, connections, models, transaction

from domventas.core import bulk
from domventas.core.behind import Behind
from domventas.core.bulk import DuplicateKeys, Upserted, upsert
from domventas.core.fields import AmountField, EncryptedTextField
from domventas.core.models import ClientModel, Threshold
from domventas.core.tenancy import NoClient, acting_for
from domventas.core.tests.conftest import House, build
from domventas.core.walls import sync_walls

pytestmark = pytest.mark.db

COLUMNS = ("code", "scope_kind", "scope_ref", "value")
KEY = ("code", "scope_kind", "scope_ref")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
SIZES = [3, bulk.COPY_FROM + 3]  # both ways: one statement, and the staged one


def give(count: int, value: int | str = 1) -> list[tuple[Any, ...]]:
    return [(f"c{i:05}", "sku", "", Decimal(value)) for i in range(count)]


def written() -> int:
    """Tuples written to the table in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT n_tup_ins + n_tup_upd FROM pg_stat_xact_user_tables WHERE relname = 'core_threshold'")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize("size", SIZES)
def test_new_rows_are_inserted_equal_ones_left_alone_changed_ones_updated(alba: House, size: int) -> None:
    with acting_for(alba.client):
        assert upsert(Threshold, COLUMNS, give(size), KEY) == Upserted(size, inserted=size)
        before = written()
        assert upsert(Threshold, COLUMNS, give(size), KEY) == Upserted(size)
        assert written() == before
        assert upsert(Threshold, COLUMNS, give(size, 2), KEY) == Upserted(size, updated=size)
        mixed = [*give(size, 2)[:-1], *give(size + 2, 3)[-2:]]
        assert upsert(Threshold, COLUMNS, mixed, KEY) == Upserted(size + 1, inserted=2)
        assert Threshold.objects.count() == size + 3


@pytest.mark.parametrize("size", SIZES)
def test_ids_of_all_rows_are_given_back_whether_written_or_not(alba: House, size: int) -> None:
    with acting_for(alba.client):
        first = upsert(Threshold, COLUMNS, give(size), KEY, returning=True)
        again = upsert(Threshold, COLUMNS, give(size), KEY, returning=True)
        assert first.ids == again.ids
        stored = Threshold.objects.filter(scope_kind="sku").ids_by(*KEY)
        assert first.ids == stored


@pytest.mark.parametrize("size", SIZES)
def test_the_number_of_queries_does_not_grow_with_the_rows(
    alba: House, size: int, django_assert_num_queries: Callable[..., Any]
) -> None:
    more, queries = (bulk.COPY_FROM - 1, 1) if size < bulk.COPY_FROM else (size * 5, 4)
    with acting_for(alba.client), transaction.atomic():
        for count in (size, more):
            with django_assert_num_queries(queries):
                upsert(Threshold, COLUMNS, give(count), KEY)


def test_the_same_key_twice_is_refused_by_name(alba: House) -> None:
    with acting_for(alba.client):
        with pytest.raises(DuplicateKeys, match="code='c00000'"):
            upsert(Threshold, COLUMNS, [*give(2), *give(1, 5)], KEY)
        assert Threshold.objects.count() == 1


@pytest.mark.parametrize("size", SIZES)
def test_another_clients_rows_with_the_same_keys_stay_as_they_are(alba: House, corvo: House, size: int) -> None:
    with acting_for(corvo.client):
        upsert(Threshold, COLUMNS, give(size, 7), KEY)
    with acting_for(alba.client):
        assert upsert(Threshold, COLUMNS, give(size, 1), KEY).inserted == size
    with acting_for(corvo.client):
        assert set(Threshold.objects.filter(scope_kind="sku").values_list("value", flat=True)) == {7}


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (1.0, TypeError),
        ("1", TypeError),
        (True, TypeError),
        (Decimal("NaN"), ValueError),
        (Decimal("Infinity"), ValueError),
    ],
)
def test_nothing_inexact_reaches_a_column_of_decimals(alba: House, value: Any, error: type[Exception]) -> None:
    with acting_for(alba.client), pytest.raises(error, match="value"):
        upsert(Threshold, COLUMNS, [("a", "", "", value)], KEY)


def test_a_key_without_its_constraint_is_refused(alba: House) -> None:
    with acting_for(alba.client), pytest.raises(ValueError, match="no unique constraint"):
        upsert(Threshold, COLUMNS, give(1), ("code",))


def test_rows_of_the_wrong_length_are_refused(alba: House) -> None:
    with acting_for(alba.client), pytest.raises(ValueError, match="4 values"):
        upsert(Threshold, COLUMNS, [*give(1), ("b", "", "")], KEY)


def test_writing_needs_exactly_one_client(alba: House, corvo: House) -> None:
    with acting_for(alba.client, corvo.client), pytest.raises(NoClient):
        upsert(Threshold, COLUMNS, give(1), KEY)


def test_a_staged_table_serves_the_statements_of_its_block(alba: House) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        rows = [("a", Decimal("1.10")), ("b", None)]
        with bulk.copy_stage("prices", {"sku": "text", "price": "numeric"}, rows) as stage:
            cursor.execute(f"SELECT sum(price), count(*) FROM {stage}")
            assert cursor.fetchone() == (Decimal("1.10"), 2)
        with pytest.raises(TypeError, match="price"), bulk.copy_stage("prices", {"price": "numeric(20,4)"}, [(1.1,)]):
            pass


class Reading(ClientModel):
    """A partitioned fact with everything the merge has to mind; a table of these tests only."""

    partition_by = "day"

    class State(models.TextChoices):
        NEW = "new"
        OLD = "old"

    code = models.CharField(max_length=20)
    day = models.DateField()
    amount = AmountField(null=True)
    detail = models.JSONField(default=dict)
    tags = models.JSONField(null=True)
    secret = EncryptedTextField(null=True)
    state = models.CharField(max_length=5, choices=State, default=State.NEW)
    seen_count = models.IntegerField(default=1)
    changed_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(ClientModel.Meta):
        app_label = "core"
        constraints = [models.UniqueConstraint(fields=["client", "code", "day"], name="core_reading_code_day_uniq")]

    def __str__(self) -> str:
        return self.code


def forget() -> None:
    apps.all_models["core"].pop("reading", None)
    apps.clear_cache()


forget()  # so that no other test meets the table


@pytest.fixture
def readings(transactional_db: None) -> Iterator[House]:
    """The table, walled, with a client to act for."""
    apps.all_models["core"]["reading"] = Reading
    apps.clear_cache()
    try:
        with connections["owner"].schema_editor() as editor:
            editor.create_model(Reading)
        sync_walls()
        house = build("alba")
        with acting_for(house.client):
            yield house
    finally:
        forget()


needs_owner = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


def days(count: int) -> list[date]:
    return [date(2026, 1, 1) + timedelta(days=offset) for offset in range(count)]


@needs_owner
@pytest.mark.parametrize("size", SIZES)
def test_partitions_are_made_as_the_days_need_them(readings: House, size: int) -> None:
    rows = [("a", day, Decimal(1)) for day in days(size)]
    columns = ("code", "day", "amount")
    assert upsert(Reading, columns, rows, ("code", "day")).inserted == size
    changed = [("a", day, Decimal(2)) for day in days(size + 1)]
    assert upsert(Reading, columns, changed, ("code", "day")) == Upserted(size + 1, inserted=1, updated=size)
    assert Reading.objects.count() == size + 1
    assert sync_walls() == []  # each partition was born walled
    later = [("a", day + timedelta(days=400), Decimal(1)) for day in days(size)]
    with transaction.atomic(), Behind() as behind:  # a month may have to be made first, so these do not wait
        assert upsert(Reading, columns, later, ("code", "day"), behind=behind).inserted == size


@needs_owner
def test_columns_left_out_take_the_models_default_once(readings: House) -> None:
    key, columns = ("code", "day"), ("code", "day", "amount")
    upsert(Reading, columns, [("a", days(1)[0], None)], key)
    row = Reading.objects.get()
    assert (row.state, row.seen_count, row.detail, row.tags, row.secret) == ("new", 1, {}, None, None)
    Reading.objects.update(state="old", seen_count=5)
    assert upsert(Reading, columns, [("a", days(1)[0], Decimal(3))], key).updated == 1
    again = Reading.objects.get()
    assert (again.state, again.seen_count, again.amount) == ("old", 5, Decimal(3))
    assert again.updated_at > row.updated_at


@needs_owner
def test_older_facts_never_overwrite_newer_ones(readings: House) -> None:
    def put(amount: int, changed_at: datetime | None) -> int:
        columns, row = ("code", "day", "amount", "changed_at"), ("a", days(1)[0], Decimal(amount), changed_at)
        return upsert(Reading, columns, [row], ("code", "day"), newer_than="changed_at").updated

    assert put(1, NOW) == 0
    assert put(2, NOW - timedelta(seconds=1)) == 0
    assert put(3, None) == 0
    assert put(4, NOW) == 1
    assert put(5, NOW + timedelta(seconds=1)) == 1
    assert Reading.objects.get().amount == 5


@needs_owner
def test_only_compared_columns_make_a_row_different_and_kept_ones_stay(readings: House) -> None:
    def put(amount: int, seen: datetime, state: str) -> Upserted:
        return upsert(
            Reading, ("code", "day", "amount", "state"), [("a", days(1)[0], Decimal(amount), state)], ("code", "day"),
            compare=["amount"], keep=["state"], extra={"seen_at": seen},
        )  # fmt: skip

    put(1, NOW, "new")
    assert put(1, NOW + timedelta(days=1), "old").updated == 0
    assert Reading.objects.get().seen_at == NOW
    assert put(2, NOW + timedelta(days=2), "old").updated == 1
    row = Reading.objects.get()
    assert (row.seen_at, row.state) == (NOW + timedelta(days=2), "new")


@pytest.mark.parametrize("size", SIZES)
def test_what_is_too_long_is_refused_never_cut(acting: Any, size: int) -> None:
    with pytest.raises(DataError), transaction.atomic():
        upsert(Threshold, COLUMNS, [*give(size), ("x" * 81, "sku", "", Decimal(1))], KEY)
    assert not Threshold.objects.exists()


@needs_owner
@pytest.mark.parametrize("size", SIZES)
def test_json_and_secrets_arrive_whole(readings: House, size: int) -> None:
    rows = [(f"c{i}", days(1)[0], {"price": "1.10", "n": [1, None]}, None, "hush") for i in range(size)]
    columns, key = ("code", "day", "detail", "tags", "secret"), ("code", "day")
    assert upsert(Reading, columns, rows, key).inserted == size
    assert upsert(Reading, columns, rows, key) == Upserted(size)  # a secret's token differs each time and is no reason
    row = Reading.objects.filter(code="c1").get()
    assert (row.detail["n"], row.tags, row.secret) == ([1, None], None, "hush")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_reading WHERE secret LIKE '%hush%' OR secret IS NULL")
        assert cursor.fetchone() == (0,)


@needs_owner
@pytest.mark.parametrize(
    ("column", "value"),
    [("day", NOW), ("day", "2026-01-01"), ("changed_at", datetime(2026, 1, 1)), ("seen_count", 1.5)],
)
def test_days_moments_and_counts_are_not_mixed_up(readings: House, column: str, value: object) -> None:
    row = {"code": "a", "day": days(1)[0], column: value}
    with pytest.raises(TypeError, match=column):
        upsert(Reading, tuple(row), [tuple(row.values())], ("code", "day"))
