"""Who reads a stream just now: an advisory lock keeps others out, a fence keeps the dead from writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper

from domventas.core import tenancy
from domventas.core.errors import DomventasError
from domventas.core.jobs.runner import Superseded
from marketplaces.models import Stream
from marketplaces.services.locks import try_lock, unlock

Span = tuple[datetime, datetime]


class Busy(DomventasError):
    """Somebody else reads this stream just now."""

    message = "This stream is being read already."


@dataclass
class Claim:
    """The right to write for one stream, until somebody else claims it.

    Attributes:
        window, token: where the last reader stopped inside a window; None and "" when it had finished.
    """

    stream_id: int
    client_id: int
    version: int
    window: Span | None
    token: str

    def checkpoint(
        self, cursor: CursorWrapper, *, window: Span | None = None, token: str = "", covered: Span | None = None
    ) -> None:
        """First statement of each writing transaction: take the row if it is still ours, and move it on.

        Raises: Superseded: another reader has claimed the stream since.
        """
        self._move(
            cursor,
            '"window" = %(window)s::tstzrange, token = %(token)s,'
            " coverage = coverage + coalesce(tstzmultirange(%(covered)s::tstzrange), '{}')",
            {"window": _range(window), "token": token, "covered": _range(covered)},
        )
        self.window, self.token = window, token

    def uncover(self, cursor: CursorWrapper, spans: list[Span]) -> None:
        """Take spans out of what counts as read. Raises: Superseded."""
        ranges = [_range(span) for span in spans]
        change = "coverage = coverage - (SELECT range_agg(r::tstzrange) FROM unnest(%(ranges)s::text[]) r)"
        self._move(cursor, change, {"ranges": ranges})

    def _move(self, cursor: CursorWrapper, change: str, values: dict[str, Any]) -> None:
        known = {"id": self.stream_id, "client": self.client_id, "version": self.version}
        cursor.execute(
            f"UPDATE marketplaces_stream SET version = version + 1, {change}"
            " WHERE id = %(id)s AND client_id = %(client)s AND version = %(version)s",
            values | known,
        )
        if not cursor.rowcount:
            raise Superseded(f"stream {self.stream_id}")
        self.version += 1


CLAIM = """
UPDATE marketplaces_stream SET version = version + 1, last_started_at = %(now)s
WHERE id = %(id)s AND client_id = %(client)s
RETURNING version, lower("window"), upper("window"), token
"""


@contextmanager
def claim(stream: Stream, *, now: datetime) -> Iterator[Claim]:
    """Hold a stream. Claiming moves the fence, so that whoever held it before can write no more.

    Raises: Busy: somebody holds it.
    """
    key = f"stream:{stream.client_id}:{stream.pk}"
    if not try_lock(key):
        raise Busy(detail=str(stream))
    try:
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, {"id": stream.pk, "client": stream.client_id, "now": now})
            row = cursor.fetchone()
        if row is None:
            raise Superseded(f"stream {stream.pk} is gone")
        version, since, until, token = row
        yield Claim(stream.pk, tenancy.current().one, version, (since, until) if since else None, token)
    finally:
        unlock(key)


def _range(span: Span | None) -> str | None:
    return f"[{span[0].isoformat()},{span[1].isoformat()})" if span else None
