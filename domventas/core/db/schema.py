"""Tables that are partitioned by month from their first day: the model names the date column."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.models import Model


class PartitioningSchemaEditor(DatabaseSchemaEditor):
    """Adds PARTITION BY RANGE for models with `partition_by`."""

    def table_sql(self, model: type[Model]) -> tuple[str, list[Any]]:
        """As Django's, but the key of a partitioned table holds the partition column too."""
        sql, params = super().table_sql(model)
        column = partition_column(model)
        if not column:
            return sql, params
        # PostgreSQL demands the partition column in every unique key, the primary key included.
        head, _, body = sql.partition(" PRIMARY KEY")
        columns = body.rpartition(")")[0]
        by = self.quote_name(column)
        return f'{head}{columns}, PRIMARY KEY ("id", {by})) PARTITION BY RANGE ({by})', params


def partition_column(model: type[Model]) -> str:
    """The column a table is partitioned by, or ''. Migrations know only bare models, so the real one is asked."""
    try:
        real = apps.get_model(model._meta.label)
    except LookupError:  # a model that is gone by now, or one that only a test knows
        real = model
    name: str = getattr(real, "partition_by", "")
    return str(real._meta.get_field(name).column) if name else ""
