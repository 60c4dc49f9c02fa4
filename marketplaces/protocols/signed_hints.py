"""Hints signed by whoever stands between a marketplace and us: for marketplaces that send no webhooks themselves.

Mirakl's operators and Otto have none; an integration layer in front of them (a middleware, Mirakl Connect) may hear of
changes earlier than a poll does. It sends

    POST <our address>
    X-Hint-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256(secret, "<t>." + body)>

    {"id": "…", "kind": "order.changed", "flow": "orders", "ref": "W10000007-A", "at": "2026-11-01T10:00:00Z"}
"""

from __future__ import annotations

from typing import Final

from marketplaces.errors import Malformed
from marketplaces.events import Arrived, Effect, Events, Hint
from marketplaces.http import strict_json
from marketplaces.protocols.reading import maybe_instant, maybe_text, text
from marketplaces.protocols.signing import timed_hmac

HEADER: Final = "X-Hint-Signature"


def read(message: Arrived) -> list[Hint]:
    """The one hint of a message. Raises: Malformed."""
    row = strict_json(message.body)
    if not isinstance(row, dict):
        raise Malformed("The message is no JSON object.")
    flow, ref = maybe_text(row, "flow") or "", maybe_text(row, "ref") or ""
    return [
        Hint(
            event_id=text(row, "id"),
            kind=text(row, "kind"),
            effect=Effect.FETCH if flow and ref else Effect.NOTHING,
            flow=flow,
            ref=ref,
            occurred_at=maybe_instant(row, "at"),
        )
    ]


SIGNED_HINTS: Final = Events(read=read, verify=timed_hmac(HEADER))
