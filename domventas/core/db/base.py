"""PostgreSQL backend that knows for whom we act: on connecting, and in callbacks after the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.backends.postgresql import base

from domventas.core import tenancy
from domventas.core.db.schema import PartitioningSchemaEditor


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's PostgreSQL connection with the acting client on it."""

    SchemaEditorClass = PartitioningSchemaEditor

    def init_connection_state(self) -> None:
        """Give a new connection the client of now; Django often connects inside acting_for."""
        super().init_connection_state()
        tenancy.sync(self)

    def on_commit(self, func: Callable[[], Any], robust: bool = False) -> None:
        """Run the callback as the client that was active when it was registered."""
        super().on_commit(tenancy.keep(func), robust)
