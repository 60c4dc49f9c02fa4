"""What may go into which column on the way of bulk writes: floats never reach money, days and moments stay apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection, models

from domventas.core.fields import EncryptedTextField, Sealed

Convert = Callable[[Any], Any]


def converter(field: models.Field[Any, Any], client: int) -> Convert | None:
    """How a value that is not None is checked and put into the driver's form; None = as it is."""
    name = str(field.name)
    if isinstance(field, EncryptedTextField):
        return lambda value: value.token if isinstance(value, Sealed) else field.seal(value, client=client)
    if isinstance(field, models.JSONField):
        return lambda value: connection.ops.adapt_json_value(value, field.encoder)
    if isinstance(field, models.DecimalField):
        return lambda value: exact(value, name)
    if isinstance(field, models.DateTimeField):
        return lambda value: moment(value, name)
    if isinstance(field, models.DateField):
        return lambda value: day(value, name)
    if isinstance(field, models.IntegerField | models.ForeignKey):
        return lambda value: whole(value, name)
    return None


def checked(field: models.Field[Any, Any], client: int, values: Sequence[Any]) -> Sequence[Any]:
    """The values of one column in the driver's form. Raises: as the checks of single values below."""
    if _is_plain(field, values):
        return values
    convert = converter(field, client)
    return [None if value is None else convert(value) for value in values] if convert else values


def _is_plain(field: models.Field[Any, Any], values: Sequence[Any]) -> bool:
    """Whether the types in the column show that every value is right as it is: much quicker than a call for each."""
    kinds = set(map(type, values)) - {type(None)}
    if isinstance(field, models.DecimalField):
        return kinds <= {Decimal} and all(value is None or value.is_finite() for value in values)
    if isinstance(field, models.DateTimeField):
        return kinds <= {datetime} and all(value is None or value.tzinfo is not None for value in values)
    if isinstance(field, models.IntegerField | models.ForeignKey):
        return kinds <= {int, str}
    return not kinds


def exact(value: Any, name: str) -> Decimal | int:
    """A finite Decimal or whole number. Raises: TypeError: a float or text. ValueError: NaN, Infinity."""
    kind = type(value)
    if kind is int:
        return int(value)
    if not isinstance(value, Decimal):
        raise TypeError(f"{name}: {kind.__name__} {value!r} is no exact number")
    if not value.is_finite():
        raise ValueError(f"{name}: {value} is no amount")
    return value


def whole(value: Any, name: str) -> Any:
    """A whole number; other keys (text, UUID) pass. Raises: TypeError: a number that is not whole."""
    if isinstance(value, float | Decimal):
        raise TypeError(f"{name}: {value!r} is no whole number")
    return value


def moment(value: Any, name: str) -> datetime:
    """An aware datetime. Raises: TypeError: anything else."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError(f"{name}: {value!r} is no moment with a time zone")
    return value


def day(value: Any, name: str) -> date:
    """A date that is not a moment. Raises: TypeError: anything else."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise TypeError(f"{name}: {value!r} is no day")
    return value


def cast_type(field: models.Field[Any, Any]) -> str:
    """The column's type for a cast, of texts without their length: a cast would cut what the column then refuses."""
    kind = column_type(field)
    return "varchar" if kind.startswith("varchar") else kind


def column_type(field: models.Field[Any, Any]) -> str:
    """PostgreSQL's type of the column."""
    return str(field.db_type(connection))
