"""Which orders a member limited to brands may see: those with at least one line of those brands."""

from __future__ import annotations

from typing import Any, TypeVar

from django.apps import apps
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import F
from django.db.models.sql.compiler import SQLCompiler

from domventas.core import tenancy
from domventas.core.managers import ClientManager, ClientQuerySet, OwnRows

M = TypeVar("M", bound=models.Model, covariant=True)


class OrdersOfOwnBrands(OwnRows):
    """`order IN (orders with a line of the member's brands)`; "true" when the member sees all brands."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = F(column)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> tuple[str, tuple[Any, ...]]:
        """Filled in when the query is written, like all walls of the managers."""
        brands = list(tenancy.current().brands)
        if not brands:
            return "true", ()
        sql, params = compiler.compile(self.column)
        lines: Any = apps.get_model("orders", "OrderLine")
        inner = models.QuerySet(lines).filter(OwnRows(), sku__product__brand__in=brands).values("order").query
        inner_sql, inner_params = inner.get_compiler(connection=connection).as_sql()
        return f"{sql} IN ({inner_sql})", (*params, *inner_params)


class OrderManager(ClientManager[M]):
    """Orders of the acting client that the member may see."""

    column = "pk"

    def get_queryset(self) -> ClientQuerySet[M]:
        """With both walls; related managers are made from this class, so they have them too."""
        return super().get_queryset().filter(OrdersOfOwnBrands(self.column))


class OfOrderManager(OrderManager[M]):
    """Rows that belong to an order, through their column `order`."""

    column = "order"
