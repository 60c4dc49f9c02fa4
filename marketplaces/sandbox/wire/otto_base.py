"""Otto's front door: client credentials with a list of scopes, calls per second, paging links and error bodies."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from ..world.places import ACCOUNTS
from .http import Request, Response, json_response
from .limits import Rate
from .state import State

CLIENT_ID = "sandbox-otto-app"
CLIENT_SECRET = "sandbox-otto-secret"  # noqa: S105 (the demo's public sandbox secret, opens nothing else)
BASE = "/otto"
TOKEN_SECONDS = 1800
PARTNER = ACCOUNTS["otto-de"]
SCOPES = ("orders", "products", "quantities", "returns", "receipts", "shipments", "availability")
RATES = {"token": Rate(10, 10), "products": Rate(10, 10)}
_PARTNER_RATE = Rate(20, 20)

Answer = Callable[..., Response]


def error(status: int, path: str, title: str, detail: str) -> Response:
    """Otto's error body."""
    path = path.removeprefix(BASE)
    logref = hashlib.sha256(f"{path}{title}{detail}".encode()).hexdigest()[:12]
    problem = {"path": path, "title": title, "code": str(status), "detail": detail, "logref": logref}
    return json_response({"errors": [problem]}, status)


def sign_in(state: State, request: Request) -> Response:
    """`POST /v1/token`: an app of our own becomes half an hour of access; there is no refresh token."""
    if state.buckets.take(PARTNER.code, "token", RATES["token"]):
        return error(429, request.path, "TOO_MANY_REQUESTS", "10 requests per second")
    form = request.form()
    if form.get("grant_type") != "client_credentials":
        return json_response({"error": "unsupported_grant_type"}, 400)
    if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
        return json_response({"error": "invalid_client", "error_description": "Invalid client credentials"}, 401)
    scopes = form.get("scope", "").split()
    if not scopes or not set(scopes) <= set(SCOPES):
        return json_response({"error": "invalid_scope"}, 400)
    with state.lock:
        serial = f"otto:{len(state.tokens)}:{state.world.seed}"
        token = "eyJ" + hashlib.sha256(serial.encode()).hexdigest()
        state.tokens[token] = (" ".join([PARTNER.code, *scopes]), state.timer() + TOKEN_SECONDS)
    answer = {"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer", "scope": " ".join(scopes)}
    return json_response(answer)


def guarded(state: State, scope: str, answer: Answer) -> Callable[..., Response]:
    """Check token and scope, keep to the rate, then `answer(state, account, request, **path)`; odd values give 400."""
    rate = RATES.get(scope, _PARTNER_RATE)

    def serve(request: Request, **path: str) -> Response:
        known, until = state.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "), ("", 0.0))
        account, *scopes = known.split() or [""]
        if account != PARTNER.code or until < state.timer():
            return error(401, request.path, "UNAUTHORIZED", "The access token is missing, unknown or expired.")
        if scope not in scopes:
            return error(403, request.path, "FORBIDDEN", f"The access token lacks the scope {scope}.")
        wait = state.buckets.take(PARTNER.code, scope, rate)
        if wait:
            return error(429, request.path, "TOO_MANY_REQUESTS", f"retry in {math.ceil(wait)} s")
        try:
            response = answer(state, PARTNER, request, **path)
        except ValueError as problem:
            return error(400, request.path, "INVALID_REQUEST_PARAMETER", str(problem))
        # Calls per second, ours alone: a sped-up sandbox has to say how fast it may be asked.
        return response.with_headers(X_RateLimit_Rate=f"{rate.per_second * state.buckets.speed:g}")

    return serve


def number(request: Request, name: str, default: int, *, least: int = 1, most: int) -> int:
    """A number of the question. Raises ValueError when it is none, or out of range."""
    value = int(request.one(name) or default)
    if not least <= value <= most:
        raise ValueError(f"{name} must be between {least} and {most}")
    return value


def next_link(path: str, **asked: str | int) -> list[dict[str, str]]:
    """The link to the following page, as from Otto's own host."""
    path = path.removeprefix(BASE)
    return [{"rel": "next", "href": f"{path}?{urlencode(asked)}"}]


def numbered_page(
    request: Request, name: str, found: Sequence[Any], render: Callable[[Any], Any], *, most: int
) -> Response:
    """`page` from 0 and `limit`, with a link to the next page while there is one."""
    size, page = number(request, "limit", most, most=most), number(request, "page", 0, least=0, most=10**6)
    shown = found[page * size : (page + 1) * size]
    body: dict[str, Any] = {name: [render(one) for one in shown], "links": []}
    if (page + 1) * size < len(found):
        kept = {key: value for key, value in request.query if key not in ("page", "limit")}
        body["links"] = next_link(request.path, **kept, page=page + 1, limit=size)
    return json_response(body)
