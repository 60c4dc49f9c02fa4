"""The readable first wall: every query of a client's table says `client_id = …` by itself, and keeps to the brands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import Expression, F
from django.db.models.sql.compiler import SQLCompiler

from domventas.core import tenancy

M = TypeVar("M", bound=models.Model, covariant=True)


class _Late(Expression):
    """A condition on one column, filled in when the SQL is written, not when the queryset is built.

    So a queryset may stand in a form class or a viewset and never carries yesterday's client.
    """

    conditional = True
    contains_aggregate = False

    def __init__(self, column: str) -> None:
        super().__init__(output_field=models.BooleanField())
        self.column: Any = F(column)

    def get_source_expressions(self) -> list[Any]:
        return [self.column]

    def set_source_expressions(self, exprs: Iterable[Any]) -> None:
        (self.column,) = exprs


class OwnRows(_Late):
    """`client_id = X` for one client, `= ANY` for several. Raises: NoClient: nobody, when the query runs."""

    def __init__(self) -> None:
        super().__init__("client_id")

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        acting = tenancy.current()
        sql, params = compiler.compile(self.column)
        if len(acting.clients) == 1:
            return f"{sql} = %s", (*params, acting.clients[0])
        return f"{sql} = ANY(%s::bigint[])", (*params, list(acting.clients))


class OwnBrands(_Late):
    """The brands a member is limited to; "true" and no join when the member sees them all."""

    def __init__(self, model: type[models.Model]) -> None:
        first, _, self.rest = str(getattr(model, "brand_path", "")).partition("__")
        self.remote: Any = model._meta.get_field(first).related_model
        super().__init__(first)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        brands = list(tenancy.current().brands)
        if not brands:
            return "true", ()
        sql, params = compiler.compile(self.column)
        if not self.rest:
            return f"{sql} = ANY(%s::bigint[])", (*params, brands)
        inner = models.QuerySet(self.remote).filter(OwnRows(), **{f"{self.rest}__in": brands}).values("pk").query
        inner_sql, inner_params = inner.get_compiler(connection=connection).as_sql()
        return f"{sql} IN ({inner_sql})", (*params, *inner_params)


class ClientQuerySet(models.QuerySet[M, M]):
    """Rows of the acting client."""

    def delete(self) -> tuple[int, dict[str, int]]:
        """As Django's, for one client only: the database wall lets a reader of several clients delete."""
        tenancy.current().one  # noqa: B018 - raises NoClient when there are several
        return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark that templates must not call it
    delete.queryset_only = True  # type: ignore[attr-defined]  # not on the manager, as in Django

    def ids_by(self, *fields: str) -> dict[Any, int]:
        """Primary keys by natural key, in one query: {value: id}, or {(value, …): id} for several fields."""
        rows = self.values_list("pk", *fields)
        if len(fields) == 1:
            return {row[1]: row[0] for row in rows}
        return {tuple(row[1:]): row[0] for row in rows}


class ClientManager(models.Manager[M]):
    """The only way to a client's rows; also the base manager, so related lookups do not escape it."""

    def get_queryset(self) -> ClientQuerySet[M]:
        """Rows of the acting client, within the member's brands."""
        queryset: ClientQuerySet[M] = ClientQuerySet(self.model, using=self._db)
        queryset = queryset.filter(OwnRows())
        if getattr(self.model, "brand_path", ""):
            queryset = queryset.filter(OwnBrands(self.model))
        return queryset

    def ids_by(self, *fields: str) -> dict[Any, int]:
        """Primary keys of all rows by natural key, in one query."""
        return self.get_queryset().ids_by(*fields)
