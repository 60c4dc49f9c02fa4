"""Settlement files that people drop: kept as they came, read by the marketplace's own reader, booked like any other."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from django.db import DataError
from django.utils.translation import gettext as _

from domventas.core.errors import DomventasError
from finance.services.settlements import Ingested, SettlementRefused, ingest, is_older
from marketplaces.errors import Malformed
from marketplaces.models import Account
from marketplaces.port import RawPage
from marketplaces.registry import connectors
from marketplaces.services import raw


class FileRefused(DomventasError):
    """A file that was not booked. Its bytes are kept: `raw_id` is where; the message names row and field.

    `raw_id` is None where the marketplace has no settlement files at all.
    """

    message = "This file was not booked."

    def __init__(self, message: str, *, raw_id: int | None = None) -> None:
        super().__init__(message)
        self.raw_id = raw_id


def import_file(account: Account, body: bytes, *, name: str, now: datetime) -> Ingested:
    """Archive a file, then book the one settlement in it.

    Called outside a transaction, because what somebody sent is kept even if it is refused.
    Raises: FileRefused: the marketplace has no file format, or the file cannot be read or must not be booked.
    """
    connector = connectors[account.channel]
    if connector.parse_settlement is None:
        raise FileRefused(_("This marketplace has no settlement files."))
    kind = "text/csv" if name.lower().endswith(".csv") else "text/tab-separated-values"
    page = RawPage(body=body, content_type=kind, name=name)
    archived = raw.archive(account, "settlements", connector.settlements, page, now=now)
    try:
        record = connector.parse_settlement(body, name)
        if is_older(account, record, archived):  # brought again: it says so now, whatever came between
            again = replace(page, name=f"{name} ({now.isoformat()})", context={"again": now.isoformat()})
            archived = raw.archive(account, "settlements", connector.settlements, again, now=now)
        return ingest(account, record, raw_id=archived, source="file", now=now)
    except (Malformed, SettlementRefused) as error:
        raise FileRefused(f"{name}: {error.message}", raw_id=archived) from error
    except DataError as error:
        raise FileRefused(f"{name}: {error}", raw_id=archived) from error
