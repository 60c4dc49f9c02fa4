"""One small world for the tests, and callers that speak to it as the two marketplaces' clients would."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from marketplaces.sandbox.server import Sandbox, start

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EU, NA = "/amazon/eu", "/amazon/na"


@dataclass(frozen=True)
class Reply:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


Call = Callable[..., Reply]


def call(
    url: str,
    method: str = "GET",
    *,
    query: Any = None,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """One request, without any library of ours in between."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    target = parts.path + (
        "?" + (urlencode(query, doseq=True) if query else parts.query) if query or parts.query else ""
    )
    try:
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def sign_in(sandbox: Sandbox, refresh_token: str = "Atzr|sandbox-eu", **changed: str) -> Reply:
    """Ask for an access token."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
        **changed,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return call(f"{sandbox.url}/amazon/auth/o2/token", "POST", headers=headers, body=urlencode(form).encode())


def amazon_of(sandbox: Sandbox, refresh_token: str = "Atzr|sandbox-eu") -> Call:
    """A signed-in caller of one region."""
    token = sign_in(sandbox, refresh_token).data["access_token"]
    base = EU if refresh_token.endswith("eu") else NA

    def ask(path: str, query: Any = None, method: str = "GET", body: Any = None) -> Reply:
        sent = json.dumps(body).encode() if body is not None else None
        headers = {"x-amz-access-token": token, "Content-Type": "application/json"}
        return call(sandbox.url + base + path, method, query=query, headers=headers, body=sent)

    return ask


def bunnings_of(sandbox: Sandbox) -> Call:
    """A caller with the shop's key."""

    def ask(path: str, query: Any = None, **headers: str) -> Reply:
        return call(
            sandbox.url + "/bunnings" + path, query=query, headers={"Authorization": "sandbox-bunnings-key", **headers}
        )

    return ask


def otto_token(sandbox: Sandbox, **changed: str) -> Reply:
    """Ask Otto for an access token."""
    form = {
        "grant_type": "client_credentials",
        "client_id": "sandbox-otto-app",
        "client_secret": "sandbox-otto-secret",
        "scope": "orders products quantities shipments",
        **changed,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return call(f"{sandbox.url}/otto/v1/token", "POST", headers=headers, body=urlencode(form).encode())


def otto_of(sandbox: Sandbox, **changed: str) -> Call:
    """A signed-in caller of Otto."""
    token = otto_token(sandbox, **changed).data["access_token"]

    def ask(path: str, query: Any = None, method: str = "GET", body: Any = None) -> Reply:
        sent = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return call(f"{sandbox.url}/otto{path}", method, query=query, headers=headers, body=sent)

    return ask


@pytest.fixture(scope="session")
def small_sandbox() -> Iterator[Sandbox]:
    """Read-only for all tests: nobody moves its clock or its limits."""
    with start(seed=1, orders=300, days=60, now=NOW) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """One of its own for tests that move clock, timer or limits."""
    with start(seed=2, orders=120, days=60, now=NOW) as sandbox:
        yield sandbox


@pytest.fixture
def busy() -> Iterator[Sandbox]:
    """One with enough orders at Otto that some wait for dispatch."""
    with start(seed=2, orders=900, days=60, now=NOW, faults="none") as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def eu(small_sandbox: Sandbox) -> Call:
    return amazon_of(small_sandbox)


@pytest.fixture(scope="session")
def us(small_sandbox: Sandbox) -> Call:
    return amazon_of(small_sandbox, "Atzr|sandbox-us")


@pytest.fixture(scope="session")
def bunnings(small_sandbox: Sandbox) -> Call:
    return bunnings_of(small_sandbox)


@pytest.fixture(scope="session")
def otto(small_sandbox: Sandbox) -> Call:
    return otto_of(small_sandbox)
