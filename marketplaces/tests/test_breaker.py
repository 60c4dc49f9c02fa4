"""The breaker: it opens after failures in a row, lets one probe through per interval, and closes when one succeeds."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from marketplaces.breaker import Breaker, Gate
from marketplaces.errors import BorderError, Down, Refused, Throttled, Unavailable
from marketplaces.http import HttpClient
from marketplaces.throttle import LocalLimiter

URL = os.environ["REDIS_URL"]
INTERVAL = 0.5
#: Where no probe is awaited: longer than any pause of a busy machine.
LONG = 60.0


@pytest.fixture
def breaker() -> Breaker:
    return Breaker(URL, most=3, interval=LONG, prefix=f"test-{uuid.uuid4()}")


@pytest.fixture
def quick() -> Breaker:
    """Its probes are awaited."""
    return Breaker(URL, most=3, interval=INTERVAL, prefix=f"test-{uuid.uuid4()}")


def state(breaker: Breaker, host: str = "h"):
    return next((x for x in breaker.states(["a"])["a"] if x.host == host), None)


def fail(breaker: Breaker, times: int, host: str = "h") -> None:
    for _ in range(times):
        breaker.failed("a", host, "Out of order.")


def eventually(check: Callable[[], object], seconds: float = 20.0) -> object:
    until = time.monotonic() + seconds
    while not (found := check()) and time.monotonic() < until:
        time.sleep(0.01)
    return found


def test_it_opens_after_failures_in_a_row_and_only_for_that_host_and_account(breaker: Breaker) -> None:
    fail(breaker, 2)
    assert breaker.ask("a", "h").wait == 0
    fail(breaker, 1)
    leave = breaker.ask("a", "h")
    assert (0 < leave.wait <= LONG, leave.why) == (True, "Out of order.")
    assert breaker.ask("a", "other").wait == 0
    assert breaker.ask("b", "h").wait == 0
    found = state(breaker)
    assert (found.gate, found.failures, found.why) == (Gate.OPEN, 3, "Out of order.")
    assert found.since < found.until


def test_an_answer_in_between_begins_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.answered("a", "h", breaker.ask("a", "h"))
    fail(breaker, 2)
    assert breaker.ask("a", "h").wait == 0


def test_while_open_one_probe_per_interval_goes_out_whoever_asks(quick: Breaker) -> None:
    started, until = time.monotonic(), time.monotonic() + 3.5 * INTERVAL
    fail(quick, 3)

    def worker(_: int) -> int:
        probes = 0
        while time.monotonic() < until:
            if quick.ask("a", "h").wait == 0:
                probes += 1
                quick.failed("a", "h", "Still out of order.")
        return probes

    with ThreadPoolExecutor(8) as workers:
        probes = sum(workers.map(worker, range(8)))
    assert 1 <= probes <= (time.monotonic() - started) / INTERVAL


def test_a_probe_that_is_answered_closes_it(quick: Breaker) -> None:
    fail(quick, 3)
    assert eventually(lambda: state(quick).gate == Gate.HALF_OPEN)
    slow = Breaker(URL, most=3, interval=LONG, prefix=quick._prefix)
    probe = slow.ask("a", "h")
    assert probe.wait == 0
    assert slow.ask("a", "h").wait > 0
    assert state(slow).gate == Gate.HALF_OPEN
    slow.answered("a", "h", probe)
    assert slow.ask("a", "h").wait == 0
    assert state(slow) is None


def test_an_answer_asked_for_before_the_outage_closes_nothing(breaker: Breaker) -> None:
    early = breaker.ask("a", "h")
    fail(breaker, 3)
    breaker.answered("a", "h", early)
    assert breaker.ask("a", "h").wait > 0


def test_without_valkey_it_holds_nothing_back() -> None:
    away = Breaker("unix:///nowhere/valkey.sock")
    for _ in range(9):
        away.failed("a", "h", "Out of order.")
    assert away.ask("a", "h").wait == 0
    assert away.states(["a"]) is None


# ── through the client ──────────────────────────────────────────────────────────────────────────────────────────────
def client_with(breaker: Breaker, server: HTTPServer) -> HttpClient:
    return HttpClient(
        account="a", hosts=[server.url_for("")], limits={}, limiter=LocalLimiter(), breaker=breaker, deadline=5.0
    )


@pytest.fixture
def client(httpserver: HTTPServer, breaker: Breaker) -> HttpClient:
    return client_with(breaker, httpserver)


def ask(client: HttpClient, httpserver: HTTPServer) -> object:
    try:
        return client.request("GET", httpserver.url_for("/"), operation="op").status
    except BorderError as error:
        return error


@pytest.mark.parametrize(("status", "opens"), [(503, True), (500, True), (429, False), (404, False), (401, False)])
def test_only_a_marketplace_out_of_order_opens_it(
    httpserver: HTTPServer, client: HttpClient, status: int, opens: bool
) -> None:
    httpserver.expect_request("/").respond_with_data("", status=status, headers={"Retry-After": "0"})
    found = [ask(client, httpserver) for _ in range(5)]
    assert [type(x) is Down for x in found] == [False] * 3 + [opens] * 2
    assert len(httpserver.log) == (3 if opens else 5)


@pytest.mark.scenario("A2", "A marketplace answers 503 for a while")
def test_an_outage_costs_one_call_per_interval_and_ends_with_the_first_answer(
    httpserver: HTTPServer, quick: Breaker, record_fault
) -> None:
    client, healed = client_with(quick, httpserver), list[bool]()
    httpserver.expect_request("/").respond_with_handler(
        lambda request: Response("ok" if healed else "", 200 if healed else 503)
    )
    for _ in range(3):
        opened = time.monotonic()  # no later than the last of them
        assert isinstance(ask(client, httpserver), Unavailable)
    while time.monotonic() < opened + 2.5 * INTERVAL:
        ask(client, httpserver)
    wasted = len(httpserver.log) - 3
    assert 1 <= wasted <= (time.monotonic() - opened) / INTERVAL
    healed.append(True)
    mended = time.monotonic()
    assert eventually(lambda: ask(client, httpserver) == 200)
    recovery = (time.monotonic() - mended) / INTERVAL
    record_fault(
        "an outage of 2.5 probe intervals, asked without pause", calls_while_open=wasted,
        recovery=f"{recovery:.1f} intervals",
    )  # fmt: skip
    assert len(httpserver.log) == 3 + wasted + 1  # the first probe found it healed
    assert [ask(client, httpserver) for _ in range(3)] == [200] * 3


def test_what_it_says_names_the_host_the_time_and_the_reason(httpserver: HTTPServer, client: HttpClient) -> None:
    httpserver.expect_request("/").respond_with_data("", status=503)
    for _ in range(3):
        ask(client, httpserver)
    told = ask(client, httpserver)
    assert isinstance(told, Down)
    assert not isinstance(told, Throttled | Refused | Unavailable)
    assert told.message.startswith(f"{httpserver.host}:{httpserver.port} does not answer; we ask again at ")
    assert told.message.endswith("UTC. Last time: The marketplace is out of order just now.")
    assert 0 < told.after.total_seconds() <= LONG


def test_a_dead_port_opens_it_too(breaker: Breaker) -> None:
    client = HttpClient(account="a", hosts=["http://127.0.0.1:9"], limits={}, limiter=LocalLimiter(), breaker=breaker)
    kinds = []
    for _ in range(5):
        with pytest.raises(BorderError) as caught:
            client.request("GET", "http://127.0.0.1:9/", operation="op")
        kinds.append(type(caught.value))
    assert kinds == [Unavailable] * 3 + [Down] * 2


def test_the_request_reaches_the_server_only_with_leave(httpserver: HTTPServer, client: HttpClient) -> None:
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return Response("", 503)

    httpserver.expect_request("/").respond_with_handler(answer)
    for _ in range(20):
        ask(client, httpserver)
    assert len(seen) == 3
    assert client.calls["op"] == 3
