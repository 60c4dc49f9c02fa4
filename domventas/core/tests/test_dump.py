"""The canonical dump: equal facts give equal dumps whatever their ids; one cent of difference shows."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.db.models import BigIntegerField

from domventas.core import dump
from domventas.core.models import AuditEntry, ClientModel, Threshold
from domventas.core.tenancy import acting_for
from domventas.core.tests.conftest import House


def limits(house: House, *values: str) -> None:
    with acting_for(house.client):
        Threshold.objects.all().delete()
        for code, value in enumerate(values):
            Threshold.objects.create(code=f"c{code}", value=Decimal(value))


def test_equal_facts_of_two_clients_give_equal_dumps_under_different_ids(alba: House, corvo: House) -> None:
    limits(alba, "1", "2.5")
    limits(corvo, "1", "2.5")
    left, right = dump.canonical_dump(alba.client), dump.canonical_dump(corvo.client)
    assert left["core_threshold"] == [("c0", "", "", "1.000000000"), ("c1", "", "", "2.500000000")]
    assert dump.digests(left) == dump.digests(right)
    assert dump.differences(left, right) == []


def test_one_cent_in_one_row_is_named(alba: House, corvo: House) -> None:
    limits(alba, "1", "2.50")
    limits(corvo, "1", "2.51")
    left, right = dump.canonical_dump(alba.client), dump.canonical_dump(corvo.client)
    changed = {table for table, digest in dump.digests(left).items() if digest != dump.digests(right)[table]}
    assert changed == {"core_threshold"}
    assert dump.differences(left, right) == [
        "- core_threshold: c1 |  |  | 2.500000000",
        "+ core_threshold: c1 |  |  | 2.510000000",
    ]


def test_references_are_written_as_the_natural_key_they_point_at(alba: House) -> None:
    brand_model: Any = apps.get_model("catalog", "Brand")
    product_model: Any = apps.get_model("catalog", "Product")
    with acting_for(alba.client):
        brand = brand_model.objects.create(code="luz", name="Luz")
        product_model.objects.create(brand=brand, code="lamp", title="Lamp")
    [row] = dump.canonical_dump(alba.client)["catalog_product"]
    assert "luz" in row
    assert str(brand.pk) not in row


def test_what_differs_is_counted_as_lost_doubled_or_changed(alba: House, corvo: House) -> None:
    limits(alba, "1", "2.50", "3")
    limits(corvo, "1", "2.51")
    right, other = dump.canonical_dump(alba.client), dump.canonical_dump(corvo.client)
    assert dump.compare(right, right).equal
    found = dump.compare(right, other)
    assert (found.lost, found.duplicated, found.changed, found.equal) == (1, 0, 1, False)
    assert found.lines == (
        "- core_threshold [c1//]: c1 |  |  | 2.500000000",
        "+ core_threshold [c1//]: c1 |  |  | 2.510000000",
        "- core_threshold [c2//]: c2 |  |  | 3.000000000",
    )
    twice = {**right, "core_threshold": [*right["core_threshold"], right["core_threshold"][0]]}
    assert dump.compare(right, twice).duplicated == 1


def test_volatile_tables_are_left_out() -> None:
    tables = {model._meta.db_table for model in dump.dumped_models()}
    assert "core_threshold" in tables
    assert AuditEntry._meta.db_table not in tables


@pytest.mark.parametrize("model", dump.dumped_models(), ids=lambda model: model._meta.label)
def test_every_dumped_table_names_its_volatile_columns_rightly_and_has_a_key(model: type[ClientModel]) -> None:
    columns = dump.columns_of(model)
    assert columns
    assert dump.key_of(model)
    assert not {"id", "client"} & {field.name for field in columns}


@pytest.mark.parametrize("model", dump.dumped_models(), ids=lambda model: model._meta.label)
def test_no_dumped_column_holds_an_id_that_another_database_would_give_otherwise(model: type[ClientModel]) -> None:
    told = {field.name for field in dump.columns_of(model) if type(field) is BigIntegerField}
    assert told <= set(model.dump_refs)
    assert all(issubclass(apps.get_model(named), ClientModel) for named in model.dump_refs.values())
