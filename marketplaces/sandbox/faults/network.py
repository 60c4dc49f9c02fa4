"""Faults of the way: too many requests, servers out of order, connections that break, answers that stop half-way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..wire.http import Delivery, Response
from .kinds import Call, kind

_KEPT_HEADERS = ("x-amzn-ratelimit-limit", "x-ratelimit-rate")
_SKEW = 600


def _told(call: Call, status: int, body: bytes = b"", *, done: bool = True, **headers: str) -> Response:
    """An error that comes instead of the answer, with the rate the marketplace states in every answer.

    `done` = the request may have been carried out before the error; else nothing that changes anything is let through.
    """
    truth = call.serve(call.request) if done or call.request.method == "GET" else Response()
    kept = {name: value for name, value in truth.headers.items() if name.lower() in _KEPT_HEADERS}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=status, headers={**kept, "Content-Type": "text/plain", **named}, body=body)


def _delivered(call: Call, **how: Any) -> Response | None:
    truth = call.answer()
    return None if truth is None else replace(truth, delivery=Delivery(**how))


@kind("network")
def throttled(call: Call) -> Response | None:
    """429 that does not say when to come back. Nothing is done."""
    return _told(call, 429, b"slow down", done=False)


@kind("network")
def throttled_until(call: Call) -> Response | None:
    """429 that names the moment to come back: at once. Nothing is done."""
    return _told(call, 429, b"slow down", done=False, Retry_After="0")


@kind("network")
def out_of_order(call: Call) -> Response | None:
    """500, 502 or 503 with a proxy's page; what was asked for may be done."""
    status = call.rng.choice((500, 502, 503))
    return _told(call, status, b"<html><h1>upstream failed</h1></html>", Content_Type="text/html")


@kind("network")
def reset(call: Call) -> Response | None:
    """The connection is torn down before the request is looked at."""
    return Response(delivery=Delivery(reset=True))


@kind("network")
def lost_answer(call: Call) -> Response | None:
    """The request is carried out, but its answer never arrives."""
    call.serve(call.request)
    return Response(delivery=Delivery(reset=True))


@kind("network")
def silence(call: Call) -> Response | None:
    """Nothing for a while, then the end of the connection."""
    return Response(delivery=Delivery(reset=True, pause=call.stall))


@kind("network")
def drip(call: Call) -> Response | None:
    """The true answer, in small pieces with pauses between."""
    return _delivered(call, drip=call.stall / 12)


@kind("network")
def cut(call: Call) -> Response | None:
    """The body stops short of its stated length."""
    truth = call.answer()
    return truth and replace(truth, delivery=Delivery(cut=_place(call, truth)))


@kind("network")
def broken_chunk(call: Call) -> Response | None:
    """The body comes in chunks and stops within one."""
    truth = call.answer()
    return truth and replace(truth, delivery=Delivery(framing="chunked", cut=_place(call, truth)))


@kind("network")
def cut_unseen(call: Call) -> Response | None:
    """The body's end is told by nothing but the end of the connection, and that comes early, at the end of a line."""
    truth = call.answer()
    if truth is None or b"\n" not in truth.body[:-1]:
        return truth and replace(truth, delivery=Delivery(framing="close", cut=_place(call, truth)))
    ends = [at + 1 for at, byte in enumerate(truth.body[:-1]) if byte == 10]
    return replace(truth, delivery=Delivery(framing="close", cut=call.rng.choice(ends)))


@kind("network")
def clock_skew(call: Call) -> Response | None:
    """The true answer with a `Date` ten minutes off."""
    return _delivered(call, skew=call.rng.choice((-_SKEW, _SKEW)))


def _place(call: Call, truth: Response) -> int:
    return call.rng.randrange(max(1, len(truth.body)))
