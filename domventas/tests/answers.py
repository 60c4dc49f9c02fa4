"""What our application says to anybody, searched for planted secrets: every answer of every test, all commands print.

One spot lies under Django's test client, DRF's and the live server that Chromium asks: `BaseHandler.get_response`.
"""

from __future__ import annotations

import io
import os
import re
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

from django.core.handlers.base import BaseHandler
from django.core.management.base import OutputWrapper
from django.http import HttpRequest
from django.http.response import HttpResponseBase

#: Form fields whose content is nobody's but the sender's; what Django itself puts into forms is none.
_SECRET_FIELD: Final = re.compile(r"^(?!csrf).*(passw|secret|token|api_?key)", re.IGNORECASE)
#: Shorter values stand somewhere by chance.
_TELLING: Final = 8
#: The one exception: the answer to the request that makes an API token shows this very token, once.
SHOWN_ONCE: Final = "admin:core_apitoken_add"

GetResponse = Callable[[Any, HttpRequest], HttpResponseBase]


class Answers:
    """Looks through answers and printed lines, and says to `found` where a secret stands, never the secret.

    Args:
        words: never to be told, as they are and as they stand in an address.
        token: how our own API tokens are spelled.
    """

    def __init__(self, words: Iterable[str], token: str, found: list[str]) -> None:
        forms = sorted({form for word in words for form in (word, quote(word), quote_plus(word))})
        self._needle = re.compile(b"|".join([*(re.escape(form.encode()) for form in forms), token.encode()]))
        self._reach = max(*(len(form) for form in forms), 80) - 1
        self._found = found
        self.seen, self.spent = 0, 0.0

    def listen(self, patch: Any) -> None:
        """Stand under every handler of requests, and behind every line that a command prints."""
        answer: GetResponse = BaseHandler.get_response
        write: Any = OutputWrapper.write

        def get_response(handler: Any, request: HttpRequest) -> HttpResponseBase:
            response = answer(handler, request)
            self.look(request, response)
            return response

        def written(wrapper: Any, msg: str = "", *args: Any, **kwargs: Any) -> None:
            self.line(msg)
            write(wrapper, msg, *args, **kwargs)

        patch.setattr(BaseHandler, "get_response", get_response)
        patch.setattr(OutputWrapper, "write", written)

    def look(self, request: Any, response: Any) -> None:
        """Search head and body; a stream is searched as it goes by, nothing of it is held back."""
        where = f"the {response.status_code} answer to {request.method} {request.path}"
        own = [value.encode() for value in _sent(request)]
        head = "\n".join([response.reason_phrase, *map(str, response.items()), response.cookies.output()]).encode()
        # the session's own name is told to its browser in a cookie, and nowhere else
        self._note(f"the head of {where}", head, [value for value in own if value != _session(request)])
        if not response.streaming:
            self._note(where, self._allowed(request, response.content), own)
        elif response.is_async:
            self._say(f"{where} is a stream nobody looks through;")
        else:
            response.streaming_content = self._passing(response.streaming_content, where, own)

    def line(self, text: str) -> None:
        """Search what a command prints."""
        self._note("a line that a command printed", str(text).encode(), [])

    def _passing(self, chunks: Iterable[bytes], where: str, own: list[bytes]) -> Iterator[bytes]:
        """Each chunk with the end of those before it, in which a secret may have begun."""
        reach = max([self._reach, *(len(value) - 1 for value in own)])
        tail, is_told = b"", False
        for chunk in chunks:
            tail += chunk
            is_told = is_told or self._note(where, tail, own)
            tail = tail[-reach:]
            yield chunk

    @staticmethod
    def _allowed(request: Any, body: bytes) -> bytes:
        """The body without what may stand there."""
        match, made = getattr(request, "resolver_match", None), getattr(request, "token_text", "")
        return body.replace(made.encode(), b"", 1) if made and match and match.view_name == SHOWN_ONCE else body

    def _note(self, where: str, body: bytes, own: list[bytes]) -> bool:
        start = time.perf_counter()
        is_told = bool(self._needle.search(body)) or any(value in body for value in own)
        if not is_told and body.startswith(b"PK\x03\x04"):
            is_told = any(self._needle.search(part) for part in _packed(body))
        if is_told:
            self._say(where)
        self.seen, self.spent = self.seen + len(body), self.spent + time.perf_counter() - start
        return is_told

    def _say(self, where: str) -> None:
        self._found.append(f"{where} during {os.environ.get('PYTEST_CURRENT_TEST', 'the run')}")


def _sent(request: Any) -> Iterator[str]:
    """What this very request brought and may not get back: a token, a session's name, passwords, secrets."""
    posted = getattr(request, "_post", {})  # what the application has read; the rest it cannot repeat
    values = [value for name in posted if _SECRET_FIELD.match(name) for value in posted.getlist(name)]
    values += [request.META.get("HTTP_AUTHORIZATION", "").rpartition(" ")[2], request.COOKIES.get("sessionid", "")]
    yield from (value for value in values if len(value) >= _TELLING)


def _session(request: Any) -> bytes:
    return request.COOKIES.get("sessionid", "").encode()  # type: ignore[no-any-return]  # a cookie is a text


def _packed(body: bytes) -> Iterator[bytes]:
    """The parts of a packed file, a spreadsheet for one."""
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        yield from (file.read(name) for name in file.namelist())
