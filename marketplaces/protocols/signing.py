"""How marketplaces prove that a message is theirs, as pure functions over the raw bytes. All compare in constant time.

Each maker gives a `verify(message, active secrets, now)` that returns or raises `Forged`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from marketplaces.events import Arrived, Forged

Verify = Callable[[Arrived, Sequence[str], datetime], None]

#: How far a signed time may be from ours, either way.
WINDOW: Final = timedelta(seconds=300)
#: Signatures looked at in one header: a rotation needs two, nobody needs hundreds.
_MOST_SIGNATURES: Final = 5


def hmac_of_body(header: str) -> Verify:
    """Base64 of HMAC-SHA256 over the body (Shopify's way). It carries no time; repetitions are known by their id."""

    def verify(message: Arrived, secrets: Sequence[str], now: datetime) -> None:
        try:
            given = base64.b64decode(_header(message, header), validate=True)
        except (binascii.Error, ValueError):
            raise Forged("The signature cannot be read.") from None
        _one_fits([given], (_digest(secret, message.body) for secret in secrets))

    return verify


def timed_hmac(header: str, *, window: timedelta = WINDOW) -> Verify:
    """`t=<unix seconds>,v1=<hex>[,v1=<hex>]`: HMAC-SHA256 over `<t>.<body>` (Stripe's way), only within the window."""

    def verify(message: Arrived, secrets: Sequence[str], now: datetime) -> None:
        moment, given = _timed(_header(message, header))
        signed = moment.encode() + b"." + message.body
        _one_fits(given, (_digest(secret, signed) for secret in secrets))
        try:
            sent = datetime.fromtimestamp(int(moment), UTC)
        except (OverflowError, OSError, ValueError):
            raise Forged("The signed time is none.") from None
        if abs(now - sent) > window:
            raise Forged("The signed time is too far from ours: a repetition, or a clock that is wrong.")

    return verify


def shared_header(header: str) -> Verify:
    """A header with a value agreed beforehand (noon's and Trendyol's way): proves the sender, not the message."""

    def verify(message: Arrived, secrets: Sequence[str], now: datetime) -> None:
        given = _header(message, header).encode("utf-8", "surrogateescape")
        _one_fits([given], (secret.encode() for secret in secrets))

    return verify


def _header(message: Arrived, name: str) -> str:
    value = message.headers.get(name.lower(), "")
    if not value:
        raise Forged(f"There is no {name} header.")
    return value


def _timed(value: str) -> tuple[str, list[bytes]]:
    parts = [part.strip().partition("=") for part in value.split(",")]
    moments = [text for name, _, text in parts if name == "t"]
    if len(moments) != 1 or not (moments[0].isascii() and moments[0].isdigit() and len(moments[0]) <= 12):
        raise Forged("The signature states no time.")
    given = []
    for name, _, text in parts:
        if name == "v1" and len(text) == 64:
            try:
                given.append(bytes.fromhex(text))
            except ValueError:
                continue
    return moments[0], given[:_MOST_SIGNATURES]


def _digest(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


def _one_fits(given: Iterable[bytes], expected: Iterable[bytes]) -> None:
    """Every pair is compared, whichever fits, so that time tells nothing."""
    offered, fits = list(given), False
    for right in expected:
        for one in offered:
            fits |= hmac.compare_digest(one, right)
    if not fits:
        raise Forged("No active secret made this signature.")
