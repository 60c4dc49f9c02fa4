"""Tokens of machines: made once and shown once, found by prefix, compared by hash, ended by people."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext as _

from domventas.core.api.scopes import SCOPES
from domventas.core.errors import Refused
from domventas.core.models import ApiToken, Client

_SPELLING: Final = re.compile(r"dv_([a-z0-9]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
#: The time of last use is kept this exactly, so that reading does not write at each request.
_USE_KEPT: Final = timedelta(minutes=1)


def issue(
    client: Client, *, name: str, scopes: Iterable[str], by: str, now: datetime, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token; its text is returned here and can never be had again.

    Raises: Refused: no or unknown scopes, or it would have run out already.
    """
    wanted = sorted(set(scopes))
    if not wanted or set(wanted) - SCOPES.keys():
        raise Refused(_("Choose at least one right, of those that exist."))
    if expires_at is not None and expires_at <= now:
        raise Refused(_("It would have run out already."))
    prefix, secret = "".join(secrets.choice(_ALPHABET) for _n in range(12)), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        client=client, name=name, prefix=prefix, secret_hash=_hash(secret), scopes=wanted, created_by=by,
        created_at=now, expires_at=expires_at,
    )  # fmt: skip
    return token, f"dv_{prefix}_{secret}"


def find(text: str, *, now: datetime) -> ApiToken | None:
    """The token a machine shows, if it is one of ours and still good; looked for in the same time either way."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        return None
    token = ApiToken.objects.filter(prefix=match[1]).select_related("client").first()
    known = token.secret_hash if token else "0" * 64
    if not hmac.compare_digest(known, _hash(match[2])) or token is None:
        return None
    if token.revoked_at is not None or (token.expires_at is not None and token.expires_at <= now):
        return None
    return token if token.client.active else None


def note_use(token: ApiToken, *, now: datetime) -> None:
    """Remember when it was last used, to the minute."""
    if token.last_used_at is None or now - token.last_used_at > _USE_KEPT:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def revoke(tokens: Iterable[ApiToken], *, now: datetime) -> int:
    """End tokens at once; returns how many were still good."""
    ids = [token.pk for token in tokens]
    return ApiToken.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=now)


def _hash(secret: str) -> str:
    """Secrets are random and long: a plain hash cannot be guessed backwards, and costs nothing per request."""
    return hashlib.sha256(secret.encode()).hexdigest()
