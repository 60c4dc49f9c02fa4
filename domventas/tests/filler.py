"""Makes one row of any model of ours, with everything it points at: so that no model is forgotten by a walk."""

from __future__ import annotations

import datetime as dt
import zlib
from decimal import Decimal
from itertools import count
from typing import Any

from django.contrib.postgres.fields import (
    ArrayField,
    DateRangeField,
    DateTimeRangeField,
    DecimalRangeField,
    IntegerRangeField,
)
from django.db import models
from django.db.backends.postgresql.psycopg_any import DateRange, DateTimeTZRange, NumericRange

from domventas.core import partitions
from domventas.core.fields import CurrencyField, EncryptedJSONField, EncryptedTextField, MultiRangeField
from domventas.core.models import ClientModel

NOW = dt.datetime(2026, 11, 20, 6, 0, tzinfo=dt.UTC)
#: Encrypted, but people are shown it: what a marketplace is to be told. In all other such columns stands a secret.
SHOWN = frozenset({"OutboxCommand.payload"})
_numbers = count(1)

VALUES: list[tuple[type[models.Field], Any]] = [
    (EncryptedJSONField, lambda n: {"secret": f"cnry-{n}"}),
    (EncryptedTextField, lambda n: f"cnry-{n}"),
    (CurrencyField, lambda n: "EUR"),
    (DateTimeRangeField, lambda n: DateTimeTZRange(NOW, NOW + dt.timedelta(hours=n))),
    (
        DateRangeField,
        lambda n: DateRange(dt.date(2026, 1, 1) + dt.timedelta(days=n), dt.date(2026, 1, 2) + dt.timedelta(days=n)),
    ),
    (DecimalRangeField, lambda n: NumericRange(Decimal(0), None)),
    (IntegerRangeField, lambda n: NumericRange(0, None)),
    (ArrayField, lambda n: []),
    (models.DateTimeField, lambda n: NOW),
    (models.DateField, lambda n: NOW.date()),
    (models.BooleanField, lambda n: False),
    (models.JSONField, lambda n: {}),
    (models.BinaryField, lambda n: zlib.compress(b"{}")),
    (models.DecimalField, lambda n: Decimal(1)),
    (models.IntegerField, lambda n: n),
    (models.CharField, lambda n: f"x{n}"),
    (models.TextField, lambda n: f"x{n}"),
]


def make(model: type[models.Model], /, **given: Any) -> Any:
    """One row of the model for the client we act for; references are made too."""
    number = next(_numbers)
    values = dict(given)
    for field in model._meta.concrete_fields:
        if field.name in values or field.primary_key or field.name == "client":
            continue
        if field.null or isinstance(field, MultiRangeField):
            continue
        if field.has_default() and not _is_key(model, field):
            continue
        values[field.name] = _value(field, number)
    if issubclass(model, ClientModel) and model.partition_by:
        partitions.ensure(model, [values[model.partition_by]])
    return model._base_manager.create(**values)


def _is_key(model: type[models.Model], field: models.Field[Any, Any]) -> bool:
    keys = [c.fields for c in model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    return any(field.name in key for key in keys)


def _value(field: models.Field[Any, Any], number: int) -> Any:
    if field.is_relation:
        return make(field.related_model)  # type: ignore[arg-type]  # a model class
    if field.choices:
        return next(value for value, _ in field.flatchoices if value not in ("", None))
    if field.name == "country":
        return "DE"
    if f"{field.model.__name__}.{field.name}" in SHOWN:
        return {"quantity": number}
    for kind, maker in VALUES:
        if isinstance(field, kind):
            value = maker(number)
            return value[: field.max_length] if isinstance(value, str) and field.max_length else value
    raise LookupError(f"no value for {field}")


def client_models() -> list[type[ClientModel]]:
    """Every table of a client."""
    from domventas.core.checks import walled_models

    return walled_models()
