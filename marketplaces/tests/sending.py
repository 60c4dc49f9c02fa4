"""Messages as a sender makes them: signed hints, and what a forger would send."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from marketplaces.events import Arrived, Effect, Hint

SECRET = "a-signing-secret-of-the-tests"
HEADER = "X-Hint-Signature"


def message(event_id: str, ref: str, *, at: datetime | None = None, **more: Any) -> bytes:
    """One hint about an order, as its bytes."""
    row = {"id": event_id, "kind": "order.changed", "flow": "orders", "ref": ref, "at": at.isoformat() if at else None}
    return json.dumps(row | more).encode()


def signature(body: bytes, *secrets: str, at: datetime | None = None) -> str:
    """The header a sender puts; signed with several secrets while he changes them."""
    moment = str(int((at or datetime.now(UTC)).timestamp()))
    made = (
        hmac.new(s.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest() for s in secrets or (SECRET,)
    )
    return ",".join([f"t={moment}", *(f"v1={one}" for one in made)])


def hint(event_id: str, ref: str, at: datetime | None = None) -> tuple[Arrived, list[Hint]]:
    """A hint as the inbox gets it."""
    made = Hint(event_id=event_id, kind="order.changed", effect=Effect.FETCH, flow="orders", ref=ref, occurred_at=at)
    return Arrived(body=message(event_id, ref, at=at)), [made]
