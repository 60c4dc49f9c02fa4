"""The watch over all answers sees what it is for: pages that leak, each planted here and taken off its list again."""

from __future__ import annotations

import io
import re
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from django.conf import settings
from django.core.management.base import OutputWrapper
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.test import Client as Browser
from django.urls import path, reverse
from django.utils.timezone import now as clock
from rest_framework.test import APIClient

from domventas.core.api import tokens
from domventas.core.models import Client
from domventas.core.roles import Role
from domventas.tests.canaries import TOY_KEY, Watch
from domventas.tests.walk import signed_in

#: Where the secret is cut: before its telling beginning ends.
CUT = 3


def packed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("sheet1.xml", f"<c>{TOY_KEY * 20}</c>")
    return file.getvalue()


def cookie() -> HttpResponse:
    reply = HttpResponse("good")
    reply.cookies = SimpleCookie({"last": TOY_KEY})
    return reply


def rows() -> Iterator[str]:
    """A file that is written while it is sent; the secret stands across two pieces."""
    yield "code,key\r\n"
    yield f"toy-1,{TOY_KEY[:CUT]}"
    yield TOY_KEY[CUT:]
    yield "\r\n" * 300


LEAKS: dict[str, Callable[[], Any]] = {
    "html": lambda: HttpResponse(f"<p>bad key {TOY_KEY}</p>"),
    "404": lambda: HttpResponse(f"no such {TOY_KEY}", status=404),
    "500": lambda: HttpResponse(f"cannot {TOY_KEY}", status=500),
    "json": lambda: HttpResponse(f'{{"key": "{TOY_KEY}"}}', content_type="application/json"),
    "stream": lambda: StreamingHttpResponse(rows(), content_type="text/csv"),
    "file": lambda: FileResponse(io.BytesIO(b"x" * 9000 + TOY_KEY.encode()), as_attachment=True, filename="a.bin"),
    "wrapped": lambda: StreamingHttpResponse(FileWrapper(io.BytesIO(TOY_KEY.encode()), 7)),
    "packed": lambda: HttpResponse(packed(), content_type="application/vnd.ms-excel"),
    "location": lambda: HttpResponseRedirect("/next?token=Atzr%7Csandbox-eu"),
    "header": lambda: HttpResponse("good", headers={"X-Echo": TOY_KEY}),
    "cookie": cookie,
    "token": lambda: HttpResponse(f"dv_{'a' * 12}_{'b' * 43}"),
    "password": lambda: HttpResponse("you wrote: a+long+password"),
}


def leak(request: HttpRequest, kind: str) -> Any:
    """Answers with a secret."""
    return LEAKS[kind]()


def echo(request: HttpRequest) -> HttpResponse:
    """Sends back what came."""
    kept = (request.POST.get("client_secret"), request.headers.get("Authorization"), request.COOKIES.get("sessionid"))
    return HttpResponse(f"{kept} is wrong" if request.GET.get("all") else "wrong")


urlpatterns = [path("health/<str:kind>", leak), path("health", echo)]
ours = pytest.mark.urls(__name__)


@pytest.fixture
def caught(watch: Watch, db: None) -> Iterator[list[str]]:
    """What the watch of this very run has found since; it is taken off its list again."""
    found, watch.found[:] = list(watch.found), []
    yield watch.found
    watch.found[:] = found


@ours
@pytest.mark.parametrize("kind", LEAKS)
@pytest.mark.parametrize("browser", [Browser, APIClient])
def test_a_leak_in_any_answer_is_found_once_and_not_repeated(kind: str, browser: Any, caught: list[str]) -> None:
    reply = browser().get(f"/health/{kind}")
    sent = reply.getvalue() if reply.streaming else reply.content
    assert len(caught) == 1 and f"/health/{kind} during" in caught[0] and TOY_KEY not in caught[0]
    assert ("head" in caught[0]) == (kind in ("location", "header", "cookie"))
    if kind in ("stream", "wrapped", "file"):
        assert sent.count(TOY_KEY.encode()) == 1, "what is looked through arrives as it is"


@ours
def test_a_stream_goes_by_piece_by_piece(caught: list[str]) -> None:
    reply = Browser().get("/health/stream")
    steps = iter(reply.streaming_content)
    assert next(steps) == b"code,key\r\n" and caught == []
    next(steps)
    assert caught == []
    assert next(steps) == TOY_KEY[CUT:].encode() and len(caught) == 1
    assert b"".join(steps) == b"\r\n" * 300 and len(caught) == 1  # to its end: an open one is closed in any moment


@ours
def test_what_a_request_itself_brought_is_a_leak_in_its_answer(caught: list[str], client_dv: Client) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    session, given = browser.cookies[settings.SESSION_COOKIE_NAME].value, "entered-by-hand"
    for asked in (
        {"data": {"client_secret": given}},
        {"headers": {"Authorization": "Bearer some-machine-token"}},
    ):
        Browser().post("/health", **asked)
        assert caught == []
        Browser().post("/health?all=1", **asked)
        assert len(caught) == 1 and not any(word in caught[0] for word in (given, "some-machine"))
        caught.clear()
    browser.get("/health")
    assert caught == []
    browser.get("/health?all=1")
    assert len(caught) == 1 and session not in caught[0]


@ours
@pytest.mark.django_db(transaction=True)
def test_what_the_live_server_sends_is_looked_through_too(caught: list[str], live_server: Any) -> None:
    for kind in ("html", "stream", "file"):
        with urllib.request.urlopen(f"{live_server.url}/health/{kind}") as reply:
            assert TOY_KEY.encode() in reply.read()
        assert [one.partition(" during")[0] for one in caught] == [f"the 200 answer to GET /health/{kind}"]
        caught.clear()


def test_what_a_command_prints_is_looked_through_too(caught: list[str]) -> None:
    OutputWrapper(io.StringIO()).write("good")
    assert caught == []
    OutputWrapper(io.StringIO()).write(f'{{"key": "{TOY_KEY}"}}')
    assert len(caught) == 1


def test_a_new_token_may_be_shown_once_where_it_is_made_and_nowhere_else(caught: list[str], client_dv: Client) -> None:
    browser = signed_in(client_dv, Role.ADMIN)
    browser.post("/sign-in/again/", {"password": "a long password", "next": "/"})
    address = f"/c/{client_dv.slug}{reverse('admin:core_apitoken_add')}"
    shown = browser.post(address, {"name": "till", "scopes": ["orders:read"], "_client": client_dv.slug})
    (text,) = re.findall(r'value="(dv_[^"]+)"', shown.content.decode())
    assert caught == []
    assert shown.content.replace(text.encode(), b"").count(b"dv_") == 1, "the token once, and how to send one"
    _token, other = tokens.issue(client_dv, name="x", scopes=["orders:read"], by="ana", now=clock())
    browser.post(address, {"name": other, "scopes": ["no-such"], "_client": client_dv.slug})
    assert len(caught) == 1, "the form comes back with another token in it"
