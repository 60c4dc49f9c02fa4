"""Somebody who looks at pages all the while, and remembers how they were answered."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.test import Client as Browser

from domventas.core.models import User
from domventas.tests.faults.world import World

PAGES = ("/c/dom-ventas/", "/c/dom-ventas/system/monitor/", "/c/dom-ventas/admin/core/taskrun/")


class Visitor:
    """Asks one page after the other; `answers` counts them by status, 0 where nobody answered."""

    def __init__(self, port: int, cookie: str) -> None:
        self.port, self.cookie = port, cookie
        self.answers, self.slowest, self._left = Counter[int](), 0.0, threading.Event()

    def ask(self, page: str) -> int:
        """One page. Returns its status."""
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        begun = time.monotonic()
        try:
            line.request("GET", page, headers={"Cookie": self.cookie})
            status = line.getresponse().status
        except OSError:
            status = 0
        finally:
            line.close()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        return status

    def failures(self) -> int:
        """Answers that were no page."""
        return sum(number for status, number in self.answers.items() if status != 200)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look at pages inside the block."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._left.set()
            thread.join(40)

    def _look(self) -> None:
        while not self._left.is_set():
            for page in PAGES:
                self.answers[self.ask(page)] += 1
            self._left.wait(0.1)


def visitor(world: World) -> Visitor:
    """A signed-in administrator before a web server of our own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    browser = Browser()
    browser.force_login(User.objects.get(email="admin@example.com"))
    world.processes.web(port)
    found = Visitor(port, f"sessionid={browser.cookies['sessionid'].value}")
    world.wait(lambda: found.ask(PAGES[0]) == 200)
    found.slowest = 0.0
    return found
