"""Webhooks: signed hints about Bunnings' orders sent to an address, and what forgers make of them."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from .http import iso
from .mirakl_base import SHOP
from .state import State

#: How a message may be sent. `replayed` sends the same bytes and signature twice.
WAYS = ("signed", "rotating", "forged", "unsigned", "stale", "future", "tampered", "replayed", "oversized")
HEADER = "X-Hint-Signature"
_TOO_LONG = 300_000


def hints(state: State, refs: Iterable[str]) -> list[dict[str, Any]]:
    """One hint for each change of these orders up to now."""
    now, found = state.clock(), []
    for ref in refs:
        order = state.order(SHOP.code, ref)
        moments = [moment for moment in order.changes if moment <= now] if order else []
        found += [
            {"id": f"{ref}@{iso(moment)}", "kind": "order.changed", "flow": "orders", "ref": ref, "at": iso(moment)}
            for moment in moments
        ]
    return found


def is_here(url: str) -> bool:
    """Whether an address is on this machine; webhooks go nowhere else."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")


def deliver(url: str, secret: str, hint: dict[str, Any], way: str) -> list[int]:
    """Send one hint and return the status of each answer; 0 where the connection was cut."""
    parts = urlsplit(url)
    body = json.dumps(hint | ({"padding": "x" * _TOO_LONG} if way == "oversized" else {})).encode()
    signature = _signature(body, secret, way)
    headers = {"Content-Type": "application/json"} | ({HEADER: signature} if signature else {})
    sent = body.replace(b"order", b"ORDER", 1) if way == "tampered" else body
    return [_post(parts.netloc, parts.path, sent, headers) for _ in range(2 if way == "replayed" else 1)]


def _signature(body: bytes, secret: str, way: str) -> str:
    shift = {"stale": -timedelta(minutes=10), "future": timedelta(minutes=10)}.get(way, timedelta())
    moment = str(int((datetime.now(UTC) + shift).timestamp()))
    if way == "unsigned":
        return ""
    keys = {"forged": ["no secret of theirs"], "rotating": ["the secret of tomorrow", secret]}.get(way, [secret])
    made = [hmac.new(key.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest() for key in keys]
    return ",".join([f"t={moment}", *(f"v1={one}" for one in made)])


def _post(netloc: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(netloc, timeout=10)
    try:
        connection.request("POST", path, body=body, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except ConnectionError:
        return 0  # cut off in the middle of a message nobody wanted to read
    finally:
        connection.close()
