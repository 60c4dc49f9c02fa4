"""Requests with a short-lived access token: one that runs out is renewed before, one refused before its time once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from marketplaces.errors import Malformed, Unauthorized
from marketplaces.port import Answer, Door, Token
from marketplaces.protocols.reading import body_of, text

#: A token with less life than this is renewed before it is used.
EARLY: Final = timedelta(minutes=2)


def with_token(
    door: Door, name: str, make: Callable[[], Token], send: Callable[[str], Answer], *, early: timedelta = EARLY
) -> Answer:
    """Send a request with the account's access token of that name.

    Args:
        make: signs in and returns a new token; it is called by one worker of the account at a time.
        send: sends the request with a token's value; called again, once, if the first token is refused.

    Raises:
        Unauthorized: also the new token is refused, or `make` gets none.
    """
    token = door.tokens.get(name)
    if token is None or token.expires_at <= door.clock() + early:
        token = door.tokens.refresh(name, make, used=token)
    try:
        return send(token.value)
    except Unauthorized:
        fresh = door.tokens.refresh(name, make, used=token)
    return send(fresh.value)


def token_of(answer: Answer, *, now: datetime) -> Token:
    """The access token in an answer of the OAuth form. Raises: Malformed: it does not say how long the token lasts."""
    body = body_of(answer)
    seconds = body.get("expires_in")
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise Malformed("The token answer does not say how long the token lasts.", operation="token")
    return Token(text(body, "access_token"), now + timedelta(seconds=seconds))
