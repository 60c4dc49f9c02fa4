"""HTTP connections that can be cut off from outside, because a read timeout counts each read and never the whole."""

from __future__ import annotations

import socket
import threading
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_current = threading.local()


class Deadline:
    """Cuts the connection this thread uses when the time is over, wherever it is waiting."""

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _current.deadline = None

    def watch(self, used: socket.socket | None) -> None:
        """Name the socket to cut; one named too late is cut at once."""
        self._socket = used
        if self.expired:
            self._cut()

    def _cut(self) -> None:
        self.expired = True
        if self._socket is None:
            return
        try:
            # Past any TLS layer: its own shutdown is not made for another thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        except OSError:
            self._socket = None  # already closed: there is nothing left to wait for


class _Watched:
    sock: Any

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()  # type: ignore[attr-defined]  # from the connection this is mixed into
        deadline: Deadline | None = getattr(_current, "deadline", None)
        if deadline is not None:
            deadline.watch(self.sock)
        super().request(*args, **kwargs)  # type: ignore[misc]  # same


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def session() -> requests.Session:
    """A session without proxies and passwords from the environment, and without retries of its own."""
    made = requests.Session()
    made.trust_env = False
    made.headers["Accept-Encoding"] = "gzip"
    for scheme in ("https://", "http://"):
        made.mount(scheme, _Adapter(max_retries=0))
    return made
