"""Faults of the body: not JSON, JSON that two readers understand differently, other charsets, bombs, missing ends."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace

from ..wire.http import Response
from .kinds import Call, kind

_NUMBER = re.compile(rb'(":)-?\d+(?:\.\d+)?(?=[,}])')
_KEY = re.compile(rb'[{,]("[A-Za-z_]+":)')
_BOMB_BYTES = 300 * 1024 * 1024
_HTML = b"<!doctype html><html><body><h1>We will be back soon</h1></body></html>"


def _json(call: Call) -> Response | None:
    found = call.json()
    return found[0] if found else None


@kind("payload")
def html(call: Call) -> Response | None:
    """200 with a page for people."""
    return replace(Response(headers={"Content-Type": "text/html; charset=utf-8"}), body=_HTML)


@kind("payload")
def malformed(call: Call) -> Response | None:
    """JSON that ends half-way, and says so nowhere."""
    truth = _json(call)
    if truth is None or len(truth.body) < 4:
        return None
    return replace(truth, body=truth.body[: call.rng.randrange(1, len(truth.body) - 1)])


@kind("payload")
def not_a_number(call: Call) -> Response | None:
    """A number is NaN or infinite."""
    truth = _json(call)
    places = list(_NUMBER.finditer(truth.body)) if truth else []
    if truth is None or not places:
        return None
    at, word = call.rng.choice(places), call.rng.choice((b"NaN", b"Infinity", b"-Infinity", b"1e400"))
    return replace(truth, body=truth.body[: at.end(1)] + word + truth.body[at.end() :])


@kind("payload")
def doubled_key(call: Call) -> Response | None:
    """An object names one key twice."""
    truth = _json(call)
    places = list(_KEY.finditer(truth.body)) if truth else []
    if truth is None or not places:
        return None
    at = call.rng.choice(places)
    return replace(truth, body=truth.body[: at.start(1)] + at[1] + b"null," + truth.body[at.start(1) :])


@kind("payload")
def utf_16(call: Call) -> Response | None:
    """JSON in UTF-16, labelled UTF-8."""
    truth = _json(call)
    return truth and replace(truth, body=truth.body.decode().encode("utf-16"))


@kind("payload")
def windows_charset(call: Call) -> Response | None:
    """JSON in cp1252 with letters that are no UTF-8, labelled UTF-8."""
    truth = _json(call)
    if truth is None or b'":"' not in truth.body:
        return None
    return replace(truth, body=truth.body.replace(b'":"', b'":"\xfc', 1))


@kind("payload")
def byte_order_mark(call: Call) -> Response | None:
    """The true answer behind a byte order mark."""
    truth = _json(call)
    return truth and replace(truth, body=b"\xef\xbb\xbf" + truth.body)


@kind("bomb")
def gzip_bomb(call: Call) -> Response | None:
    """A few hundred kilobytes that unpack to hundreds of megabytes."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    return Response(headers=headers, body=_bomb())


def _bomb() -> bytes:
    if not _packed:
        _packed.append(gzip.compress(bytes(_BOMB_BYTES), 9, mtime=0))
    return _packed[0]


_packed: list[bytes] = []


@kind("payload")
def short_file(call: Call) -> Response | None:
    """A text file whose last lines are missing; its stated length is that of what came."""
    truth = call.answer()
    if truth is None or "text" not in truth.headers.get("Content-Type", "") or truth.body.count(b"\n") < 3:
        return None
    ends = [at + 1 for at, byte in enumerate(truth.body[:-1]) if byte == 10]
    return replace(truth, body=truth.body[: call.rng.choice(ends)])
