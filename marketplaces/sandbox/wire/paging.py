"""Opaque page tokens that carry the question they continue, so that no page is lost while the clock moves."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any


def seal(question: dict[str, Any]) -> str:
    """A token for the rest of an answer."""
    return base64.urlsafe_b64encode(json.dumps(question, separators=(",", ":")).encode()).decode().rstrip("=")


def unseal(token: str) -> dict[str, Any] | None:
    """The question of a token; None when it is none of ours."""
    try:
        question = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError):
        return None
    return question if isinstance(question, dict) else None
