"""Access tokens of an account, shared by all workers: one signs in at a time, and who comes too late writes nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import transaction

from marketplaces.errors import Later
from marketplaces.models import Credential
from marketplaces.port import Token
from marketplaces.services.locks import try_lock, unlock

#: Longest wait for the worker that signs in [s]; signing in takes a second when all is well.
PATIENCE: Final = 10.0
#: Pause between two looks whether it has a token [s].
LOOK: Final = 0.05


class StoredTokens:
    """Access tokens of one account, encrypted beside its secrets, so that all processes use the same."""

    def __init__(self, credential: Credential, *, hide: Callable[[str], None]) -> None:
        self._id, self._set_at = credential.pk, credential.set_at
        self._lock = f"token:{credential.client_id}:{credential.pk}"
        self._hide = hide

    def get(self, name: str) -> Token | None:
        """The token of that name, run out or not."""
        return self._read(Credential.objects.get(pk=self._id), name)

    def put(self, name: str, token: Token) -> None:
        """Keep a new token; others of the account stay."""
        with self._held() as credential:
            self._write(credential, name, token)

    def refresh(self, name: str, make: Callable[[], Token], *, used: Token | None = None) -> Token:
        """See `port.TokenStore`. Nothing is locked in the database's tables while `make` talks to the marketplace.

        Raises: Later: another worker has been signing in for too long. And what `make` raises.
        """
        with self._turn(name, used) as found:
            if found is not None:
                return found
            made = make()
            self._hide(made.value)
            return self._swap(name, made, used)

    @contextmanager
    def _turn(self, name: str, used: Token | None) -> Iterator[Token | None]:
        """Wait for our turn to sign in, or for the token of the worker whose turn it is."""
        key, until = f"{self._lock}:{name}", time.monotonic() + PATIENCE
        while True:
            is_ours = try_lock(key)
            try:
                found = self.get(name)
                if is_ours or _is_other(found, used):
                    yield found if _is_other(found, used) else None
                    return
            finally:
                if is_ours:
                    unlock(key)
            if time.monotonic() > until:
                raise Later("Another worker is still signing in for this account.", "token", after=timedelta(minutes=1))
            time.sleep(LOOK * random.uniform(0.5, 1.5))  # noqa: S311  # only spreads the looks

    def _swap(self, name: str, made: Token, used: Token | None) -> Token:
        """Keep a token unless another came in its place meanwhile: our turn ends with the connection, not with us."""
        with self._held() as credential:
            found = self._read(credential, name)
            if credential.set_at != self._set_at:
                return made  # got with secrets that people have replaced since
            if _is_other(found, used) and found is not None:
                return found
            self._write(credential, name, made)
        return made

    @contextmanager
    def _held(self) -> Iterator[Credential]:
        with transaction.atomic():
            yield Credential.objects.select_for_update().get(pk=self._id)

    def _read(self, credential: Credential, name: str) -> Token | None:
        kept = credential.tokens.get(name)
        if kept is None:
            return None
        self._hide(kept["value"])
        return Token(kept["value"], datetime.fromisoformat(kept["expires_at"]))

    def _write(self, credential: Credential, name: str, token: Token) -> None:
        self._hide(token.value)
        kept = {"value": token.value, "expires_at": token.expires_at.astimezone(UTC).isoformat()}
        Credential.objects.filter(pk=credential.pk).update(tokens={**credential.tokens, name: kept})


def _is_other(found: Token | None, used: Token | None) -> bool:
    """Whether somebody has put a token there since `used` was taken."""
    return found is not None and (used is None or found.value != used.value)
