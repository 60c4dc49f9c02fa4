"""Requests and responses as plain values, and the chain of wrappers through which every request goes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names in lower case, `query` in the order it came."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def parse(cls, method: str, target: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        """From what stands in the request line."""
        parts = urlsplit(target)
        return cls(
            method=method,
            path=parts.path,
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in headers},
            body=body,
        )

    def one(self, name: str) -> str | None:
        """A parameter's value; None when it was not sent."""
        return next((value for key, value in self.query if key == name), None)

    def many(self, name: str) -> list[str]:
        """A parameter sent several times or joined by commas."""
        return [part for key, value in self.query if key == name for part in value.split(",") if part]

    def form(self) -> dict[str, str]:
        """The fields of an urlencoded body."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an answer travels; as it stands: whole, at once, with its length stated.

    Attributes:
        framing: what tells the end: `length`, `chunked`, or `close` (nothing but the end of the connection).
        cut: so many bytes of the body are sent, then the connection ends; None sends all.
        pause: before the first byte [s]. drip: between the pieces the body is sent in [s].
        reset: the connection is torn down before a single byte.
        skew: by how much `Date` is wrong [s].
    """

    framing: str = "length"
    cut: int | None = None
    pause: float = 0.0
    drip: float = 0.0
    reset: bool = False
    skew: int = 0


WHOLE = Delivery()


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer; `Date` and what tells its end are added by the server."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delivery: Delivery = WHOLE

    def with_headers(self, **more: str) -> Response:
        """The same answer with further headers; underscores stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return replace(self, headers={**self.headers, **named})


Handler = Callable[[Request], Response]
Wrapper = Callable[[Handler], Handler]


def cents_number(cents: int) -> float:
    """Cents as a JSON number, 1234 → 12.34: the shortest decimal of the quotient is always the exact amount."""
    return cents / 100


def cents_text(cents: int, separator: str = ".") -> str:
    """Cents as text: -5 → -0.05."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}{separator}{abs(cents) % 100:02d}"


def json_response(value: Any, status: int = 200) -> Response:
    """JSON in UTF-8."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status=status, headers={"Content-Type": "application/json; charset=UTF-8"}, body=body)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str | None) -> datetime | None:
    """A point in time; dates count from midnight UTC. Raises ValueError for anything else, None for nothing."""
    if not text:
        return None
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Route:
    """A verb and path pattern with the function that answers; named groups become arguments."""

    method: str
    pattern: re.Pattern[str]
    answer: Callable[..., Response]


def route(method: str, pattern: str, answer: Callable[..., Response]) -> Route:
    """A route for a pattern with `{name}` places."""
    return Route(method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern) + r"\Z"), answer)


def dispatcher(routes: Iterable[Route], wrappers: Iterable[Wrapper] = ()) -> Handler:
    """The first matching route answers, 404 otherwise; the first wrapper is outermost."""
    table = list(routes)

    def dispatch(request: Request) -> Response:
        for entry in table:
            match = entry.pattern.match(request.path)
            if match and entry.method == request.method:
                return entry.answer(request, **match.groupdict())
        return json_response({"errors": [{"code": "NotFound", "message": "The resource was not found."}]}, 404)

    handler: Handler = dispatch
    for wrap in reversed(list(wrappers)):
        handler = wrap(handler)
    return handler
