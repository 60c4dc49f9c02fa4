"""The API's door: a token names the client, the pace and the key are looked at, then the views act for that client."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.timezone import now as clock

from domventas.core import tenancy
from domventas.core.api import once, pace, tokens
from domventas.core.api.problems import problem
from domventas.core.signin.session import address_of

PREFIX: Final = "/api/"
#: Neither token nor client: the description of the API, which holds no data.
OPEN: Final = ("/api/v1/schema", "/api/v1/docs")
_BEARER: Final = re.compile(r"Bearer +(\S{1,200})", re.IGNORECASE)
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MOST_BODY: Final = 1_000_000

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def enter(request: Any, get_response: GetResponse) -> HttpResponseBase:
    """Answer one request of a machine, or say what is wrong with it."""
    request.api_token = None
    if request.path_info.startswith(OPEN):
        return get_response(request)
    now = clock()
    given = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    token = tokens.find(given[1], now=now) if given else None
    if token is None:
        return _stranger(request)
    allowed = pace.take(token.prefix)
    limits = allowed.headers(pace.BURST)
    if not allowed.allowed:
        return problem(request, 429, "Too many requests; see Retry-After.", headers=limits)
    said = request.headers.get("X-Client")
    if said and said != token.client.slug:
        return problem(request, 409, "The token belongs to another client than X-Client says.", headers=limits)
    if int(request.headers.get("Content-Length") or 0) > MOST_BODY:
        return problem(request, 413, f"A body may have {MOST_BODY:,} bytes.", headers=limits)
    tokens.note_use(token, now=now)
    request.api_token, request.client = token, token.client
    with tenancy.acting_for(token.client, actor=f"token:{token.prefix}", request=request.id):
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method in _READS:
            response = get_response(request)
        else:
            response = once.answer(request, key, get_response, now=now)
        if response.status_code == 500:
            response = problem(
                request, 500, "Something went wrong here; nothing was changed. Tell us the request's id."
            )
    for name, value in limits.items():
        response[name] = value
    return response


def _stranger(request: Any) -> HttpResponseBase:
    """Without a good token: told so, and slowed down by address."""
    key = f"wrong:{address_of(request)}"
    wrong = pace.take(key, per_minute=pace.WRONG_PER_MINUTE, burst=pace.WRONG_BURST)
    if not wrong.allowed:
        return problem(request, 429, "Too many requests without a good token.", headers=wrong.headers(pace.WRONG_BURST))
    told = "Send a token as “Authorization: Bearer dv_…”; it may be wrong, revoked or run out."
    return problem(request, 401, told, headers={"WWW-Authenticate": 'Bearer realm="domventas"'})
