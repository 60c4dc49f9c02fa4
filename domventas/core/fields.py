"""Columns of the house: references within a client, money, currencies, secrets, and covered time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, TypeVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _
from psycopg.types.multirange import Multirange

from domventas.core import crypto, tenancy

_ST = TypeVar("_ST", contravariant=True)
_GT = TypeVar("_GT", covariant=True)


class ClientForeignKey(models.ForeignKey[_ST, _GT]):
    """A reference inside one client.

    The database constraint is composite, `(client_id, x_id)`, and is put by sync_walls; so Django makes none. With
    `db_wall=False` there is none at all: big facts pay for each key, and a loader's join has resolved it already.
    """

    def __init__(self, *args: Any, db_wall: bool = True, **kwargs: Any) -> None:
        self.db_wall = db_wall
        kwargs["db_constraint"] = False
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Without `db_constraint`, which is not for the caller to choose."""
        name, path, args, kwargs = super().deconstruct()
        kwargs.pop("db_constraint", None)
        if not self.db_wall:
            kwargs["db_wall"] = False
        return name, path, args, kwargs


class _ExactField(models.DecimalField):  # type: ignore[type-arg]  # the two below fill in what they store
    """A decimal that refuses floats."""

    digits: tuple[int, int]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"], kwargs["decimal_places"] = self.digits
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Without the digits, which belong to the kind of field."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, args, kwargs

    def to_python(self, value: Any) -> Any:
        """As Django's, but a float is a TypeError: it has already lost cents."""
        if isinstance(value, float):
            raise TypeError(f"{self.name}: a float is no amount")
        return super().to_python(value)


class AmountField(_ExactField):
    """An amount of money in the row's currency, numeric(20,4). From us negative, to us positive."""

    digits = (20, 4)


class RateField(_ExactField):
    """A rate, share or price factor, numeric(18,9); a positive magnitude."""

    digits = (18, 9)


class CurrencyField(models.CharField):  # type: ignore[type-arg]  # plain strings
    """An ISO 4217 code, three capital letters."""

    default_validators = [RegexValidator(r"^[A-Z]{3}\Z", _("Three capital letters, for example EUR."))]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_length"] = 3
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Without the length, which is always three."""
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path, args, kwargs


def currency_check(table: str, field: str = "currency") -> models.CheckConstraint:
    """The database's own check of a currency column, for a model's `Meta.constraints`."""
    return models.CheckConstraint(
        condition=models.Q(**{f"{field}__regex": "^[A-Z]{3}$"}), name=f"{table}_{field}_check"
    )


class Sealed:
    """A secret as it lies in the table. It opens only for the client of its row and never shows itself."""

    __slots__ = ("token",)

    def __init__(self, token: str) -> None:
        self.token = token

    def __repr__(self) -> str:
        return "<sealed>"

    __str__ = __repr__


class _Unsealing:
    """Opens the column when somebody reads the attribute, with the client of that very row."""

    def __init__(self, field: EncryptedTextField) -> None:
        self.field = field

    def __get__(self, instance: models.Model | None, owner: type | None = None) -> Any:
        if instance is None:
            return self
        name = self.field.attname
        if name not in instance.__dict__:
            instance.refresh_from_db(fields=[name])
        value = instance.__dict__[name]
        if isinstance(value, Sealed):
            value = instance.__dict__[name] = self.field.open(value.token, client=instance.client_id)  # type: ignore[attr-defined]  # every client's row has it
        return value

    def __set__(self, instance: models.Model, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class EncryptedTextField(models.TextField):  # type: ignore[type-arg]  # plain strings
    """Text that is encrypted at rest with the key of the row's client (see core.crypto)."""

    encrypted = True
    empty_strings_allowed = False

    def contribute_to_class(self, cls: type[models.Model], name: str, private_only: bool = False) -> None:
        """Put the attribute that opens the secret on the model."""
        super().contribute_to_class(cls, name, private_only)
        setattr(cls, self.attname, _Unsealing(self))

    def seal(self, value: Any, *, client: int) -> str:
        """The token for a plain value."""
        return crypto.encrypt(str(value).encode(), client=client)

    def open(self, token: str, *, client: int) -> Any:
        """The plain value of a token. Raises: crypto.Unreadable."""
        return crypto.decrypt(token, client=client).decode()

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Sealed | None:
        """What `values()` gives out is sealed; only a row's own attribute opens it."""
        return None if value is None else Sealed(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Seal with the client of the row that is saved; a value nobody opened goes back as it was."""
        value = model_instance.__dict__.get(self.attname)
        if value is None or isinstance(value, Sealed):
            return value
        return Sealed(self.seal(value, client=model_instance.client_id))  # type: ignore[attr-defined]  # every client's row has it

    def get_prep_value(self, value: Any) -> Any:
        """For `update(…)` and filters: sealed for the acting client."""
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return value.token if isinstance(value, Sealed) else self.seal(value, client=tenancy.current().one)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        """The token, as text."""
        return value if prepared else self.get_prep_value(value)

    def to_python(self, value: Any) -> Any:
        """Plain values pass as they are; forms hand over text."""
        return value


class EncryptedJSONField(EncryptedTextField):
    """A JSON value that is encrypted at rest with the key of the row's client."""

    def seal(self, value: Any, *, client: int) -> str:
        """The token for a JSON value."""
        return crypto.encrypt_json(value, client=client)

    def open(self, token: str, *, client: int) -> Any:
        """The JSON value of a token. Raises: crypto.Unreadable."""
        return crypto.decrypt_json(token, client=client)


class EncryptedBytesField(models.BinaryField):  # type: ignore[type-arg]  # plain bytes
    """Bytes that their writer has encrypted with core.crypto; where a table mixes both, plain ones lie as they are.

    It opens nothing by itself: big bodies are opened by the selector that needs them. What it gives is that whoever
    looks for secrets at rest (the change of keys, the audit, filters of lists) finds the column.
    """

    encrypted = True


class MultiRangeField(models.Field):  # type: ignore[type-arg]  # stores Multirange
    """Covered time: a set of half-open ranges of moments (tstzmultirange), empty by default."""

    empty_strings_allowed = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", Multirange)
        super().__init__(*args, **kwargs)

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """PostgreSQL's type."""
        return "tstzmultirange"

    def get_placeholder(self, value: Any, compiler: Any, connection: BaseDatabaseWrapper) -> str:
        """An empty set carries no element to tell its type by."""
        return "%s::tstzmultirange"

    def value_to_string(self, obj: models.Model) -> str:
        """For dumps of single objects."""
        return str(self.value_from_object(obj))


def amount() -> models.DecimalField[Decimal | None, Decimal | None]:
    """An output field for sums of money in queries."""
    return models.DecimalField(max_digits=20, decimal_places=4)


__all__ = [
    "AmountField", "ClientForeignKey", "CurrencyField", "EncryptedBytesField", "EncryptedJSONField",
    "EncryptedTextField", "MultiRangeField", "RateField", "Sealed", "amount", "currency_check",
]  # fmt: skip
