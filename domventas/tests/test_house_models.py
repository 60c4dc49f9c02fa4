"""Conformance of every model: it says what a row is, names its constraints, leads keys with the client, points down."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import models

from domventas.core.models import ClientModel

RANK = {
    name: rank
    for rank, name in enumerate(("core", "marketplaces", "catalog", "orders", "finance", "tickets", "reports"))
}
OURS = [model for model in apps.get_models() if model._meta.app_label in RANK]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_a_model_says_what_one_row_is(model: type[models.Model]) -> None:
    doc = model.__doc__ or ""
    assert doc and not doc.startswith(f"{model.__name__}("), f"{model._meta.label} has no docstring of its own"
    assert str(model._meta.verbose_name) != "", model._meta.label


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_references_point_down_the_line(model: type[models.Model]) -> None:
    """A string in a ForeignKey escapes the import contracts, so the models themselves are asked."""
    for field in model._meta.get_fields():
        target: Any = field.related_model if field.many_to_one or field.one_to_one else None
        if target is None or field.auto_created or target._meta.app_label not in RANK:
            continue
        assert RANK[target._meta.app_label] <= RANK[model._meta.app_label], (
            f"{model._meta.label}.{field.name} points up"
        )


@pytest.mark.parametrize("model", [m for m in OURS if issubclass(m, ClientModel)], ids=lambda model: model._meta.label)
def test_constraints_are_named_and_lead_with_the_client(model: type[models.Model]) -> None:
    for constraint in model._meta.constraints:
        assert constraint.name, model._meta.label
        if isinstance(constraint, models.UniqueConstraint):
            assert constraint.fields[0] == "client", f"{constraint.name} does not lead with the client"


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_money_is_exact_and_carries_its_currency(model: type[models.Model]) -> None:
    from domventas.core.fields import AmountField

    names = {field.name for field in model._meta.get_fields()}
    amounts = [field.name for field in model._meta.get_fields() if isinstance(field, AmountField)]
    assert not [f.name for f in model._meta.get_fields() if isinstance(f, models.FloatField)]
    if amounts:
        held = {name for name in names if "currency" in name}
        assert held or model._meta.label in WITHOUT_CURRENCY, f"{model._meta.label}: {amounts} in which currency?"


WITHOUT_CURRENCY = {"orders.OrderCharge", "tickets.TicketGroup"}
"""Amounts in their parent's currency: a group's contribution stands in the client's base currency."""
