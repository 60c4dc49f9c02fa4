"""Many rows that the server merges while we prepare the next ones: sent at once, waited for later."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from django.db import connection
from psycopg import Copy
from psycopg.copy import FileWriter

#: Does now what the statements before it left for the end of the transaction.
_CHECK_KEYS: Final = ("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED")


@dataclass(slots=True)
class Behind:
    """Statements of one transaction that run behind our back, in their order; at the end of the block all are done.

    Between `send` and `finish` the connection is busy: whoever works there must not touch the database. What is only
    added to it does not.

    Attributes:
        written: rows that the merges waited for so far have written.
    """

    written: int = 0
    _stages: list[tuple[str, str, bytes]] = field(default_factory=list)
    _merges: list[tuple[str, Sequence[Any]]] = field(default_factory=list)
    _after: list[str] = field(default_factory=list)
    _sent: list[Any] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.finish()
        else:  # the transaction is lost anyway; what matters is that the connection is free again
            self._open.__exit__(kind, error, at)

    def stage(self, create: str, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Have a temporary table with these rows made before the next merges run, and dropped after them."""
        text = io.BytesIO()
        with connection.wrap_database_errors, Copy(connection.connection.cursor(), writer=FileWriter(text)) as copy:
            for row in rows:
                copy.write_row(row)
        self._stages.append((create, f'COPY "{table}" FROM STDIN', text.getvalue()))
        self._after.append(f'DROP TABLE "{table}"')

    def merge(self, statement: str, parameters: Sequence[Any]) -> None:
        """Have it run with the next `send`; the rows it inserts or updates count."""
        self._merges.append((statement, parameters))

    def send(self) -> None:
        """Wait for what was sent before, then send what was added; returns before the server is done with it."""
        self.finish()
        with connection.cursor() as cursor:
            for create, copy_in, rows in self._stages:
                cursor.execute(create)
                with connection.wrap_database_errors, cursor.copy(copy_in) as copy:
                    copy.write(rows)
        after = [(text, ()) for text in (*self._after, *_CHECK_KEYS)]
        with connection.wrap_database_errors:
            self._open.enter_context(connection.connection.pipeline())
            for number, (statement, parameters) in enumerate([*self._merges, *after]):
                cursor = connection.connection.cursor()
                cursor.execute(statement, parameters)
                if number < len(self._merges):
                    self._sent.append(cursor)
        for each in (self._stages, self._merges, self._after):
            each.clear()

    def finish(self) -> None:
        """Wait for what was sent. Raises: what the statements raise."""
        with connection.wrap_database_errors:
            self._open.close()
        self.written += sum(cursor.rowcount for cursor in self._sent)
        self._sent.clear()
