"""Doors for connector tests: an account at some address, with secrets, tokens and a client that keeps its calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from marketplaces.http import HttpClient
from marketplaces.port import Answer, Connector, Credentials, Door, Limit, RawPage, Token, Window
from marketplaces.throttle import LocalLimiter

SECRETS = {
    "amazon": {
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        "refresh_token": "Atzr|sandbox-eu",
    },
    "bunnings": {"api_key": "sandbox-bunnings-key", "shop_id": "2042"},
    "otto": {"client_id": "sandbox-otto-app", "client_secret": "sandbox-otto-secret"},
}
SITES = {"amazon": ("amazon.de", "amazon.fr"), "bunnings": ("bunnings.com.au",), "otto": ("otto.de",)}
NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Tokens:
    """Access tokens of one test."""

    def __init__(self) -> None:
        self.kept: dict[str, Token] = {}

    def get(self, name: str) -> Token | None:
        return self.kept.get(name)

    def put(self, name: str, token: Token) -> None:
        self.kept[name] = token

    def refresh(self, name: str, make: Callable[[], Token], *, used: Token | None = None) -> Token:
        self.kept[name] = make()
        return self.kept[name]


@dataclass
class Call:
    """One request a connector sent, before it went out."""

    method: str
    url: str
    operation: str
    params: dict[str, str]
    json: Any
    headers: dict[str, str]


@dataclass
class RecordingHttp:
    """The real client; it also writes down what was asked."""

    client: HttpClient
    calls: list[Call] = field(default_factory=list)

    def request(self, method: str, url: str, *, operation: str, **more: Any) -> Answer:
        params = dict(more.get("params") or {})
        self.calls.append(Call(method, url, operation, params, more.get("json"), dict(more.get("headers") or {})))
        return self.client.request(method, url, operation=operation, **more)


def door(
    connector: Connector,
    url: str,
    *,
    now: datetime = NOW,
    limits: dict[str, Limit] | None = None,
    secrets: dict[str, str] | None = None,
    sites: tuple[str, ...] | None = None,
    patience: float = 5.0,
) -> Door:
    """A door for the demo account of a connector at a sandbox or another server on this machine."""
    chosen = tuple(x for x in connector.sites if x.code in (sites or SITES[connector.name]))
    given = secrets or SECRETS[connector.name]
    hosts = chosen[0].hosts_at(url)
    client = HttpClient(
        account="test",
        hosts=hosts.values(),
        limits=connector.limits if limits is None else limits,
        limiter=LocalLimiter(),
        secrets=[x for name, x in given.items() if name != "shop_id"],
        deadline=10.0,
        patience=patience,
        clock=lambda: now,
    )
    return Door(
        account_ref="test",
        sites=chosen,
        hosts=hosts,
        credentials=Credentials(given),
        http=RecordingHttp(client),
        tokens=Tokens(),
        clock=lambda: now,
    )


def pages(fetch: Any, session: Any, window: Window, most: int = 500) -> Iterator[RawPage]:
    """All pages of a window; more than `most` means that reading does not end."""
    token = ""
    for _ in range(most):
        page = fetch(session, window, token)
        yield page
        token = page.next_token
        if not token:
            return
    raise AssertionError("the pages do not end")
