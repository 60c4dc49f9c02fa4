"""The border's client against a real server that misbehaves: late, long, cut, packed, redirecting, talkative."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from pytest_httpserver import HTTPServer

from marketplaces.allowed import Allowed
from marketplaces.errors import BorderError, Forbidden, Malformed, Refused, Throttled, Unauthorized, Unavailable
from marketplaces.http import HttpClient, gunzip, inflate, strict_json
from marketplaces.port import Limit, Priority
from marketplaces.throttle import LocalLimiter

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
Make = Callable[..., HttpClient]


@pytest.fixture
def make(httpserver: HTTPServer) -> Make:
    def build(base: str = "", **options: object) -> HttpClient:
        given: dict[str, object] = {
            "account": "a",
            "hosts": [base or httpserver.url_for("")],
            "limits": {},
            "limiter": LocalLimiter(),
            "deadline": 5.0,
            "sleep": lambda _: None,
            "clock": lambda: NOW,
        }
        return HttpClient(**{**given, **options})  # type: ignore[arg-type]  # options of each test

    return build


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A server that is handed the naked socket."""
    listening: list[socket.socket] = []

    def serve(talk: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        listening.append(server)

        def once() -> None:
            with server.accept()[0] as peer:
                peer.recv(65536)
                try:
                    talk(peer)
                except OSError:
                    return  # the client hung up, which is what these tests are about

        threading.Thread(target=once, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield serve
    for server in listening:
        server.close()


def get(client: HttpClient, url: str, **more: object) -> object:
    return client.request("GET", url, operation="op", **more)  # type: ignore[arg-type]  # passed through


def test_a_whole_answer_comes_back_with_lower_case_headers(httpserver: HTTPServer, make: Make) -> None:
    httpserver.expect_request("/x", query_string={"q": "1"}).respond_with_json(
        {"amount": 1.1}, headers={"X-Thing": "y"}
    )
    client = make()
    answer = client.request("GET", httpserver.url_for("/x"), operation="op", params={"q": "1"})
    assert answer.json() == {"amount": Decimal("1.1")}
    assert answer.headers["x-thing"] == "y"
    assert client.calls == {"op": 1}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Refused),
        (400, Refused),
        (404, Refused),
        (422, Refused),
        (401, Unauthorized),
        (403, Forbidden),
        (408, Unavailable),
        (429, Throttled),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_every_status_becomes_one_kind_of_error(
    httpserver: HTTPServer, make: Make, status: int, kind: type[BorderError]
) -> None:
    httpserver.expect_request("/").respond_with_data("no", status=status, headers={"x-amzn-RequestId": "r-1"})
    with pytest.raises(BorderError) as caught:
        get(make(), httpserver.url_for("/"))
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.operation, caught.value.request_id) == (status, "op", "r-1")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("Sun, 01 Nov 2026 12:00:30 GMT", 30),
        ("soon", 60),
        ("", 60),
        ("99999999", 86400),
        ("\u00b2", 60),
        ("Sun, 01 Nov 2026 12:00:30 +99999999999999999999", 60),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    make: Make, raw: Callable[..., str], header: str, seconds: int
) -> None:
    assert slowed_down(make, raw, f"Retry-After: {header}") == timedelta(seconds=seconds)


@pytest.mark.parametrize("date", ["Sun, 01 Nov 2026 11:50:00 GMT", "Sun, 01 Nov 2026 12:10:00 GMT"])
def test_a_date_to_come_back_at_is_meant_by_the_marketplaces_own_clock(
    make: Make, raw: Callable[..., str], date: str
) -> None:
    told = f"Date: {date}\r\nRetry-After: {date.replace(':00 GMT', ':30 GMT')}"
    assert slowed_down(make, raw, told) == timedelta(seconds=30)


def slowed_down(make: Make, raw: Callable[..., str], headers: str) -> timedelta:
    """How long we stay away after a refusal with these headers."""
    answer = f"HTTP/1.1 429 Slowly\r\n{headers}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    base = raw(lambda peer: peer.sendall(answer))
    with pytest.raises(Throttled) as caught:
        get(make(base), base)
    return caught.value.after


@pytest.mark.scenario("A3", "An answer drips in, a byte at a time")
def test_a_dripping_server_is_cut_off_at_the_deadline(make: Make, raw: Callable[..., str], record_fault) -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            peer.sendall(b"x")
            time.sleep(0.1)

    base, started = raw(drip), time.monotonic()
    with pytest.raises(Unavailable, match=r"within 0\.7 seconds"):
        get(make(base, deadline=0.7), base)
    lasted = time.monotonic() - started
    record_fault("10 seconds of dripping, deadline 0.7 s", over_the_deadline=f"{lasted - 0.7:.2f} s")
    assert lasted < 5, "not cut off, but at its end"


def test_a_server_dripping_its_headers_is_cut_off_too(make: Make, raw: Callable[..., str]) -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\n")
        for i in range(100):
            peer.sendall(f"X-{i}: y\r\n".encode())
            time.sleep(0.1)

    base, started = raw(drip), time.monotonic()
    with pytest.raises(Unavailable):
        get(make(base, deadline=0.7), base)
    assert time.monotonic() - started < 5


def test_a_drip_without_a_length_is_not_taken_for_a_whole_answer(make: Make, raw: Callable[..., str]) -> None:
    def drip(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1")
        time.sleep(3)

    base = raw(drip)
    with pytest.raises(Unavailable):
        get(make(base, deadline=0.5), base)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nshort",
        b"nonsense",
        b"",
    ],
)
def test_half_an_answer_is_no_answer(make: Make, raw: Callable[..., str], answer: bytes) -> None:
    base = raw(lambda peer: peer.sendall(answer))
    with pytest.raises(Unavailable):
        get(make(base), base)


def test_an_answer_cut_anywhere_is_never_taken_for_whole(make: Make, raw: Callable[..., str]) -> None:
    body = b'{"orders": [{"id": 1}, {"id": 2}]}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    for cut in range(len(body)):
        base = raw(lambda peer, cut=cut: peer.sendall(head + body[:cut]))
        with pytest.raises(Unavailable):
            get(make(base), base)


def test_a_packed_bomb_stays_small(httpserver: HTTPServer, make: Make) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    httpserver.expect_request("/").respond_with_data(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(Malformed, match="unpacks to more than"):
        get(make(most=1_000_000), httpserver.url_for("/"))


def test_a_long_answer_stops_at_the_cap(httpserver: HTTPServer, make: Make) -> None:
    httpserver.expect_request("/").respond_with_data(b"x" * 300_000)
    with pytest.raises(Malformed, match="longer than"):
        get(make(most=100_000), httpserver.url_for("/"))


def test_a_cut_gzip_is_refused_and_a_whole_one_unpacked() -> None:
    packed = gzip.compress(b"settlement" * 1000)
    assert gunzip(packed) == b"settlement" * 1000
    for cut in (0, 5, len(packed) // 2, len(packed) - 1):
        with pytest.raises(Malformed):
            gunzip(packed[:cut])


def test_a_document_of_several_gzip_files_is_unpacked_to_its_end() -> None:
    packed = gzip.compress(b"first\n" * 20_000) + gzip.compress(b"second\n")
    whole = b"first\n" * 20_000 + b"second\n"
    assert gunzip(packed) == whole
    assert gunzip(packed + b"\0" * 512) == whole  # as tapes and block devices pad it
    assert inflate(packed[i : i + 7] for i in range(0, len(packed), 7)) == whole
    for cut in (len(packed) - 1, len(packed) - 20):
        with pytest.raises(Malformed):
            gunzip(packed[:cut])
    with pytest.raises(Malformed):
        gunzip(packed + b"what is this")
    with pytest.raises(Malformed, match="more than"):
        gunzip(packed, most=len(whole) - 1)


@pytest.mark.parametrize("status", [b"204 No Content", b"200 OK\r\nContent-Length: 0"])
def test_an_answer_of_nothing_is_whole_though_it_calls_itself_packed(
    make: Make, raw: Callable[..., str], status: bytes
) -> None:
    base = raw(lambda peer: peer.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Encoding: gzip\r\n\r\n"))
    assert get(make(base), base).body == b""  # type: ignore[attr-defined]  # an Answer


@pytest.mark.parametrize("encoding", ["identity", "UTF-8"])
def test_a_text_whose_end_nothing_tells_is_not_taken_for_whole(
    make: Make, raw: Callable[..., str], encoding: str
) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Encoding: {encoding}\r\n\r\n".encode()
    base = raw(lambda peer: peer.sendall(head + b"sku,price\nA,1"))
    with pytest.raises(Unavailable, match="may have been cut off"):
        get(make(base), base)


def test_redirects_are_not_followed(httpserver: HTTPServer, make: Make) -> None:
    httpserver.expect_request("/away").respond_with_data(
        "", status=302, headers={"Location": httpserver.url_for("/here")}
    )
    httpserver.expect_request("/here").respond_with_data("secret")
    with pytest.raises(Refused, match="do not follow"):
        get(make(), httpserver.url_for("/away"))
    assert [request.path for request, _ in httpserver.log] == ["/away"]


@pytest.mark.parametrize(
    "url",
    [
        "http://sellingpartnerapi-eu.amazon.com/x",
        "https://evil.example/x",
        "https://sellingpartnerapi-eu.amazon.com.evil.example/",
        "https://user@sellingpartnerapi-eu.amazon.com/",
        "https://sellingpartnerapi-eu.amazon.com:8443/",
        "https://amazonaws.com.evil.example/",
        "https://evilamazonaws.com/",
        "http://bucket.amazonaws.com/",
        "https://bucket.amazonaws.com:444/",
        "http://127.0.0.1:1/",
        "http://127.0.0.1:8010@evil.example/",
        "http://[::1]:8010/",
        "http://2130706433:8010/",
        "http://localhost:8010/",
        "file:///etc/passwd",
        "//127.0.0.1:8010/",
        "https://sellingpartnerapi-eu.amazon.com\\@evil.example/",
        "https://[bad/",
        "",
    ],
)
def test_only_known_hosts_are_called(url: str) -> None:
    allowed = Allowed(["https://sellingpartnerapi-eu.amazon.com", "https://*.amazonaws.com", "http://127.0.0.1:8010"])
    with pytest.raises(Refused):
        allowed.check(url, "op")


@pytest.mark.parametrize(
    "url",
    ["https://sellingpartnerapi-eu.amazon.com/x?y=1", "https://bucket.s3.amazonaws.com/d", "http://127.0.0.1:8010/x"],
)
def test_known_hosts_are_called(url: str) -> None:
    Allowed(["https://sellingpartnerapi-eu.amazon.com", "https://*.amazonaws.com", "http://127.0.0.1:8010"]).check(
        url, "op"
    )


def test_plain_http_is_for_the_own_machine_only() -> None:
    with pytest.raises(ValueError, match="not https"):
        Allowed(["http://sellingpartnerapi-eu.amazon.com"])


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b"<html>busy</html>",
        b"",
        b'{"a": 1',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b"1e400",
        b'{"a": 1e-400}',
    ],
)
def test_json_two_readers_would_understand_differently_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        strict_json(body)


def test_json_numbers_stay_exact() -> None:
    assert strict_json(b'{"a": 0.1, "id": 9007199254740993}') == {"a": Decimal("0.1"), "id": 9007199254740993}


def test_half_a_character_and_nul_are_replaced_and_whole_ones_stay() -> None:
    found = strict_json(rb'{"cut\ud83d": ["Vase \ud83d", "\ude00x", "\u0000"], "n": 1.50, "\ud83d\ude00": "\\ud83d"}')
    assert found == {"cut\ufffd": ["Vase \ufffd", "\ufffdx", "\ufffd"], "n": Decimal("1.50"), "\U0001f600": "\\ud83d"}
    assert str(found["n"]) == "1.50"


def test_an_error_tells_no_secret_and_no_address_of_a_person(httpserver: HTTPServer, make: Make) -> None:
    told = (
        'bad token Atza|abc.def key s3cr3t-value for ann@example.org {"refresh_token": "Atzr|xyz", "a":1} ' + "x" * 5000
    )
    httpserver.expect_request("/").respond_with_data(told, status=403)
    client = make(secrets=["s3cr3t-value"])
    with pytest.raises(Unauthorized) as caught:
        get(client, httpserver.url_for("/"), headers={"Authorization": "s3cr3t-value"})
    shown = f"{caught.value} {caught.value!r} {caught.value.excerpt}"
    for secret in ("Atza|abc", "Atzr|", "s3cr3t-value", "ann@example.org"):
        assert secret not in shown
    assert len(caught.value.excerpt) <= 300


def test_a_failed_connection_does_not_repeat_the_address_with_its_parameters(make: Make) -> None:
    with socket.socket() as taken:  # ours, so that nobody else answers there; nobody listens
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable) as caught:
            get(make(base), base, params={"token": "hidden-thing"})
    assert "hidden-thing" not in f"{caught.value!r}"


def test_the_client_waits_for_its_budget_and_gives_up_when_it_takes_too_long(
    httpserver: HTTPServer, make: Make
) -> None:
    httpserver.expect_request("/").respond_with_data("ok")
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    client = make(
        limits={"op": Limit(rate=0.1, burst=1)}, limiter=LocalLimiter(lambda: now[0]), sleep=sleep, patience=12
    )
    get(client, httpserver.url_for("/"))
    get(client, httpserver.url_for("/"))
    assert slept == [pytest.approx(10.0)]
    impatient = make(limits={"op": Limit(rate=0.1, burst=1)}, limiter=client._limiter, patience=1)
    with pytest.raises(Throttled) as caught:
        get(impatient, httpserver.url_for("/"))
    assert caught.value.after.total_seconds() == pytest.approx(10.0)
    assert impatient.calls == {}


def test_the_rate_in_the_answer_counts_from_then_on(httpserver: HTTPServer, make: Make) -> None:
    httpserver.expect_request("/").respond_with_data("ok", headers={"x-amzn-RateLimit-Limit": "1000.0"})
    client = make(limits={"op": Limit(rate=0.001, burst=1)}, limiter=LocalLimiter(), sleep=time.sleep, patience=1)
    for _ in range(3):
        get(client, httpserver.url_for("/"))
    assert client.calls == {"op": 3}


@pytest.mark.parametrize("header", ["string", "nan", "-1", "0", "inf"])
def test_a_rate_that_is_no_rate_is_ignored(httpserver: HTTPServer, make: Make, header: str) -> None:
    httpserver.expect_request("/").respond_with_data("ok", headers={"x-amzn-RateLimit-Limit": header})
    client = make(limits={"op": Limit(rate=0.001, burst=1)}, patience=1)
    get(client, httpserver.url_for("/"))
    with pytest.raises(Throttled):
        get(client, httpserver.url_for("/"))


def test_too_many_requests_closes_the_budget_for_everybody(httpserver: HTTPServer, make: Make) -> None:
    httpserver.expect_request("/").respond_with_data("", status=429, headers={"Retry-After": "40"})
    shared = LocalLimiter()
    limits = {"op": Limit(rate=100, burst=100)}
    with pytest.raises(Throttled):
        get(make(limits=limits, limiter=shared), httpserver.url_for("/"))
    other = make(limits=limits, limiter=shared, patience=1)
    with pytest.raises(Throttled):
        get(other, httpserver.url_for("/"))
    assert other.calls == {}


def test_a_call_is_counted_in_the_class_of_its_flow(httpserver: HTTPServer, make: Make) -> None:
    httpserver.expect_request("/").respond_with_data("")
    shared, limits = LocalLimiter(), {"op": Limit(rate=0.001, burst=10)}
    bulk = make(limits=limits, limiter=shared, priority=Priority.BULK, patience=1)
    for _ in range(4):
        get(bulk, httpserver.url_for("/"))
    with pytest.raises(Throttled):
        get(bulk, httpserver.url_for("/"))
    orders = make(limits=limits, limiter=shared, patience=1)
    for _ in range(5):
        get(orders, httpserver.url_for("/"))
    with pytest.raises(Throttled):
        get(orders, httpserver.url_for("/"))


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        ("Sun, 01 Nov 2026 12:10:00 GMT", timedelta(minutes=10)),
        ("Sun, 01 Nov 2026 11:50:00 GMT", timedelta(minutes=-10)),
        ("yesterday", None),
        ("Sun, 01 Nov 2026 12:00:00 +99999999999999999999", None),
    ],
)
def test_the_clocks_are_compared_by_each_answer(
    make: Make, raw: Callable[..., str], date: str, skew: timedelta | None
) -> None:
    base = raw(lambda peer: peer.sendall(f"HTTP/1.1 400 No\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode()))
    client = make(base)
    assert client.skew is None
    with pytest.raises(Refused):
        get(client, base)
    assert client.skew == skew
