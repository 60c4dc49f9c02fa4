"""How often a code or password may be tried by somebody who is half signed in."""

from __future__ import annotations

from typing import Final

from domventas.core.api.pace import take

PER_MINUTE: Final = 5
BURST: Final = 5


def may_try(what: str) -> bool:
    """Take one try; five at once, then one every twelve seconds. Without Valkey the lockout of the login remains."""
    return take(f"try:{what}", per_minute=PER_MINUTE, burst=BURST).allowed
