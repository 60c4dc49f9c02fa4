"""Secrets at rest: a ring of keys, of which the first writes and all read, with a key of its own for each client.

A token names the key it was made with. The key that encrypts is derived from the ring's key and the client's id, so
a row copied to another client does not open.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from domventas.core.errors import DomventasError

_JSON: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True)


class Unreadable(DomventasError):
    """The token was made with a key we do not hold, for another client, or was changed."""

    message = "A stored secret cannot be read with the keys we have."


def key_id(key: str) -> str:
    """Short name of a ring key; tells nothing about the key."""
    return hashlib.sha256(base64.urlsafe_b64decode(key)).hexdigest()[:8]


def token_key_id(token: str) -> str:
    """The ring key a token was made with."""
    return token.partition(":")[0]


def current_key_id() -> str:
    """The ring key that writes."""
    return key_id(_ring()[0])


def ring_key_ids() -> list[str]:
    """The keys we hold, the writing one first. Raises: Unreadable: the ring is empty or holds what is no key."""
    return [key_id(key) for key in _ring()]


def encrypt(data: bytes, *, client: int) -> str:
    """Seal bytes for one client, as printable text."""
    name, box = _writer(_ring()[0], client)
    return f"{name}:{box.encrypt(data).decode()}"


def decrypt(token: str, *, client: int) -> bytes:
    """Open a token of this client. Raises: Unreadable."""
    name, _, body = token.partition(":")
    for key in _ring():
        if key_id(key) == name:
            try:
                return _box(key, client).decrypt(body.encode())
            except InvalidToken:
                raise Unreadable(detail=f"key {name}, client {client}") from None
    raise Unreadable(detail=f"no key {name} on the ring")


def rotate(token: str, *, client: int) -> str:
    """The token under the writing key; the same token if it is already. Raises: Unreadable."""
    if token_key_id(token) == current_key_id():
        return token
    return encrypt(decrypt(token, client=client), client=client)


def encrypt_json(value: object, *, client: int) -> str:
    """Seal a JSON value."""
    return encrypt(_JSON.encode(value).encode(), client=client)


def decrypt_json(token: str, *, client: int) -> Any:
    """Open a JSON value. Raises: Unreadable."""
    return json.loads(decrypt(token, client=client))


def _ring() -> Sequence[str]:
    ring = settings.KEYRING
    keys = [key.strip() for key in ring.split(",")] if isinstance(ring, str) else list(ring)
    if not keys or not keys[0]:
        raise Unreadable(detail="the key ring is empty")
    for place, key in enumerate(keys, start=1):
        if not _is_key(key):
            raise Unreadable(detail=f"entry {place} of the key ring is no key of 32 bytes in base64")
    return keys


@lru_cache(maxsize=64)
def _is_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == 32
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def _writer(key: str, client: int) -> tuple[str, Fernet]:
    """The short name of a ring key, and what seals with it for a client."""
    return key_id(key), _box(key, client)


@lru_cache(maxsize=1024)
def _box(key: str, client: int) -> Fernet:
    secret = base64.urlsafe_b64decode(key)
    derived = HKDF(SHA256(), length=32, salt=None, info=f"domventas client {client}".encode()).derive(secret)
    return Fernet(base64.urlsafe_b64encode(derived))
