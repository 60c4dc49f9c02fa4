"""Amazon's notifications, as its queues deliver them: at least once, in any order, in two spellings."""

from __future__ import annotations

from typing import Any, Final

from marketplaces.errors import Malformed
from marketplaces.events import Arrived, Effect, Hint
from marketplaces.http import strict_json
from marketplaces.protocols.reading import Row, maybe_instant, maybe_text, part, text

#: What we act on, and so ask for. Amazon itself says to keep polling behind them.
QUEUES: Final = ("ORDER_CHANGE", "REPORT_PROCESSING_FINISHED")


def read(message: Arrived) -> list[Hint]:
    """The one hint of a notification. Raises: Malformed."""
    row = _envelope(message)
    kind = text(row, "notificationtype")
    payload = _payload(row)
    known: dict[str, Any] = {
        "event_id": text(_lower(part(row, "notificationmetadata")), "notificationid"),
        "kind": kind,
    }
    if kind == "ORDER_CHANGE":
        trigger = _lower(part(payload, "orderchangetrigger"))
        occurred = maybe_instant(trigger, "timeoforderchange") or maybe_instant(row, "eventtime")
        ref = text(payload, "amazonorderid")
        return [Hint(**known, effect=Effect.FETCH, flow="orders", ref=ref, occurred_at=occurred)]
    occurred = maybe_instant(row, "eventtime")
    if kind == "REPORT_PROCESSING_FINISHED":
        return [Hint(**known, effect=Effect.REPORT, ref=text(payload, "reportid"), occurred_at=occurred)]
    ref = maybe_text(payload, "feedid") or maybe_text(_lower(part(payload, "offerchangetrigger")), "asin") or ""
    return [Hint(**known, ref=ref, occurred_at=occurred)]


def seller(message: Arrived) -> str:
    """The seller a notification is for. Raises: Malformed."""
    return text(_payload(_envelope(message)), "sellerid")


def _envelope(message: Arrived) -> Row:
    found = strict_json(message.body)
    if not isinstance(found, dict):
        raise Malformed("The notification is no JSON object.")
    return _lower(found)


def _payload(row: Row) -> Row:
    """The one object inside the payload; `OrderChangeNotification` and the like name it."""
    payload = part(row, "payload")
    inner = [value for value in payload.values() if isinstance(value, dict)]
    return _lower(inner[0] if len(inner) == 1 and len(payload) == 1 else payload)


def _lower(row: Row) -> dict[str, Any]:
    """Older types write NotificationType, newer ones notificationType."""
    return {str(name).lower(): value for name, value in row.items()}
