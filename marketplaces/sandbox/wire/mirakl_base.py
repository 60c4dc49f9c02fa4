"""Bunnings' front door (Mirakl): the shop's API key, the shop id, call ceilings, both kinds of paging, error bodies."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from ..world.places import ACCOUNTS
from .http import Request, Response, json_response
from .limits import Rate
from .paging import seal, unseal
from .state import State

API_KEY = "sandbox-bunnings-key"
SHOP = ACCOUNTS["bunnings-au"]
_DAY = 86_400
RATES = {
    "OR11": Rate(1 / 60, 20),
    "OR23": Rate(1, 30),
    "OR24": Rate(1, 30),
    "OF21": Rate(1 / 60, 20),
    "TL02": Rate(20 / 60, 20),
    "SBC11": Rate(1 / _DAY, 20),
    "IV01": Rate(1 / _DAY, 20),
    "A01": Rate(1 / _DAY, 20),
}

Answer = Callable[..., Response]


def error(status: int, message: str) -> Response:
    """Mirakl's error body."""
    return json_response({"message": message, "status": status}, status)


def guarded(state: State, operation: str, answer: Answer) -> Callable[..., Response]:
    """Check key and shop, keep to the ceiling, then `answer(state, account, request)`; odd parameters give 400."""
    rate = RATES[operation]

    def serve(request: Request, **arguments: str) -> Response:
        if request.headers.get("authorization") != API_KEY or SHOP.code in state.revoked:
            return error(401, "Unauthorized")
        if request.one("shop_id") not in (None, SHOP.external_id):
            return error(403, "You are not allowed to access the requested shop")
        wait = state.buckets.take(SHOP.code, operation, rate)
        if wait:
            return error(429, "Too Many Requests").with_headers(Retry_After=str(max(1, math.ceil(wait))))
        try:
            response = answer(state, SHOP, request, **arguments)
        except ValueError as problem:
            return error(400, f"A parameter is not valid: {problem}")
        # Calls per second, ours alone: a sped-up sandbox has to say how fast it may be asked.
        return response.with_headers(X_RateLimit_Rate=f"{rate.per_second * state.buckets.speed:g}")

    return serve


def offset_page(
    state: State, request: Request, name: str, found: Sequence[Any], render: Callable[[Any], Any]
) -> Response:
    """`max` and `offset` with total_count, and the next page as a Link header."""
    size, first = int(request.one("max") or 10), int(request.one("offset") or 0)
    if not 1 <= size <= 100 or first < 0:
        raise ValueError("max must be between 1 and 100, offset not negative")
    response = json_response({name: [render(x) for x in found[first : first + size]], "total_count": len(found)})
    links = []
    kept = [(key, value) for key, value in request.query if key not in ("max", "offset")]
    for relation, offset in (("previous", first - size), ("next", first + size)):
        if 0 <= offset < len(found):
            url = f"{state.base_url}{request.path}?{urlencode([*kept, ('max', size), ('offset', offset)])}"
            links.append(f'<{url}>; rel="{relation}"')
    return response.with_headers(Link=", ".join(links)) if links else response


def seek_question(state: State, request: Request, names: Sequence[str], most: int) -> dict[str, Any]:
    """The filters of a new question, or those sealed in the page token: then all others are ignored."""
    token = request.one("page_token")
    if token:
        question = unseal(token)
        if question is None or "first" not in question:
            raise ValueError("page_token")
        return question
    size = int(request.one("limit") or 10)
    if not 1 <= size <= most:
        raise ValueError(f"limit must be between 1 and {most}")
    filters = {name: request.many(name) for name in names}
    return {"filters": filters, "size": size, "first": 0, "as_of": state.clock().isoformat()}


def seek_page(question: dict[str, Any], found: Sequence[Any], render: Callable[[Any], Any]) -> Response:
    """One page with the tokens of its neighbors."""
    first, size = int(question["first"]), int(question["size"])
    body: dict[str, Any] = {"data": [render(x) for x in found[first : first + size]]}
    if first + size < len(found):
        body["next_page_token"] = seal({**question, "first": first + size})
    if first > 0:
        body["previous_page_token"] = seal({**question, "first": max(0, first - size)})
    return json_response(body)
