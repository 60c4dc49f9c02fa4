"""Sending an answer the way it is to travel: whole, slowly, cut off, or not at all."""

from __future__ import annotations

import socket
import struct
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from .wire.http import Response

_PIECES = 12
#: No lingering: closing tears the connection down at once.
_TEAR = struct.pack("ii", 1, 0)


def deliver(connection: BaseHTTPRequestHandler, response: Response) -> None:
    """Send one answer. Raises ConnectionError when the other side has gone."""
    how = response.delivery
    if how.pause:
        time.sleep(how.pause)
    if how.reset:
        _tear(connection)
        return
    connection.send_response(response.status)
    for name, value in response.headers.items():
        connection.send_header(name, value)
    if how.framing == "length":
        connection.send_header("Content-Length", str(len(response.body)))
    elif how.framing == "chunked":
        connection.send_header("Transfer-Encoding", "chunked")
    else:
        connection.send_header("Connection", "close")
        connection.close_connection = True
    connection.end_headers()
    _send_body(connection, response)


def is_torn(request: Any) -> bool:
    """Whether a connection is to end without a word."""
    try:
        return bool(request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_TEAR)) == _TEAR)
    except OSError:
        return False


def _send_body(connection: BaseHTTPRequestHandler, response: Response) -> None:
    how, body = response.delivery, response.body
    sent = body if how.cut is None else body[: how.cut]
    step = max(1, len(sent) // _PIECES + 1) if how.drip else max(1, len(sent))
    for start in range(0, len(sent), step):
        piece = sent[start : start + step]
        if how.framing == "chunked":
            size = len(piece) if how.cut is None else len(piece) + 7  # a chunk that promises more than comes
            piece = f"{size:x}\r\n".encode() + piece + (b"\r\n" if how.cut is None else b"")
        connection.wfile.write(piece)
        if how.drip:
            connection.wfile.flush()
            time.sleep(how.drip)
    if how.framing == "chunked" and how.cut is None:
        connection.wfile.write(b"0\r\n\r\n")
    if how.cut is not None:
        connection.close_connection = True
    connection.wfile.flush()


def _tear(connection: BaseHTTPRequestHandler) -> None:
    connection.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _TEAR)
    connection.close_connection = True
