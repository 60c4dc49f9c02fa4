"""The sandbox as a real HTTP server: on a port of its own for people, in a thread on a free port for tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .delivery import deliver, is_torn
from .faults.injector import Injector, fault_routes
from .faults.plan import split
from .routes import all_routes
from .wire.control import truth_lines
from .wire.drops import Drops
from .wire.http import Handler, Request, Wrapper, dispatcher, iso, json_response
from .wire.limits import Buckets
from .wire.rights import Rights
from .wire.state import Clock, State
from .world.build import build_world, world_dir, write_atomically

DEMO_SPEED = 2000.0
_MOST_BODY = 1_000_000


class _Server(ThreadingHTTPServer):
    """Threads end with the server; the port may be taken again at once."""

    daemon_threads = True
    request_queue_size = 64
    handler: Handler
    clock: Clock

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; one that is to be torn down gets no polite end first."""
        if is_torn(request):
            self.close_request(request)
        else:
            super().shutdown_request(request)


class _Connection(BaseHTTPRequestHandler):
    """One connection: reads requests, lets the handler answer, and dates the answer by the sandbox's clock."""

    protocol_version = "HTTP/1.1"
    server_version = "domventas-sandbox"
    sys_version = ""
    # Headers and body leave in one packet: small writes would wait for the other side's acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server
    _skew = 0

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MOST_BODY:
            self.send_error(413)
            return
        request = Request.parse(self.command, self.path, self.headers.items(), self.rfile.read(length))
        try:
            response = self.server.handler(request)
        except Exception as problem:
            response = json_response({"errors": [{"code": "InternalFailure", "message": repr(problem)}]}, 500)
            self.log_error("%s %s: %r", self.command, self.path, problem)
        self._skew = response.delivery.skew
        try:
            deliver(self, response)
        except ConnectionError:
            self.close_connection = True  # whoever asked is gone, or was cut off by plan

    # http.server looks the methods up by these names.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def date_time_string(self, timestamp: float | None = None) -> str:
        told = self.server.clock() + timedelta(seconds=self._skew)
        return format_datetime(told.replace(microsecond=0), usegmt=True)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Answers are not logged: the demo makes thousands."""


@dataclass(slots=True, kw_only=True)
class Sandbox:
    """A running sandbox."""

    url: str
    state: State
    server: _Server
    truth_file: Path
    injector: Injector

    def set_clock(self, moment: datetime) -> None:
        """Move the sandbox's present; nothing dated later can be seen."""
        self.state.clock.set(moment)

    def truth(self) -> list[dict[str, Any]]:
        """The truth rows visible at the clock."""
        until = iso(self.state.clock())
        return [row for row in self.state.world.truth if row["visible_from"] <= until]


def open_sandbox(
    *,
    seed: int,
    now: datetime | None = None,
    days: int = 100,
    skus: int = 240,
    orders: int = 12_000,
    faults: str = "payment",
    speed: float = DEMO_SPEED,
    port: int = 0,
    wrappers: Sequence[Wrapper] = (),
) -> Sandbox:
    """Build the world, write its truth file and bind the port (0 = a free one); the caller serves and closes.

    With `now` the clock is pinned there; without, the world is made for today 00:00 UTC and the clock runs.
    `faults` names what is planted in the world's money and, after a comma, what goes wrong on the wire; see
    `faults.plan.split`. `wrappers` go round every request, the first outermost.
    Raises ValueError for a plan nobody knows, OSError when the port is taken.
    """
    planted, plan = split(faults, seed=seed)
    present = datetime.now(UTC).replace(microsecond=0)
    world_now = now or present.replace(hour=0, minute=0, second=0)
    world = build_world(seed=seed, now=world_now, days=days, skus=skus, orders=orders, faults=planted)
    clock = Clock(world.now if now else present, is_running=now is None)
    state = State(world=world, clock=clock, buckets=Buckets(time.monotonic, speed))
    server = _Server(("127.0.0.1", port), _Connection)
    state.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    server.clock = clock
    injector = Injector(plan)
    drops, rights = Drops(), Rights()
    routes = [*all_routes(state), *fault_routes(injector), *drops.routes(), *rights.routes()]
    server.handler = dispatcher(routes, [*wrappers, injector.wrap, drops.wrap, rights.wrap])
    truth_file = world_dir(seed, world.now) / "truth.jsonl"
    write_atomically(truth_file, truth_lines(world, iso(clock())))
    return Sandbox(url=state.base_url, state=state, server=server, truth_file=truth_file, injector=injector)


@contextmanager
def start(
    *,
    seed: int = 1,
    orders: int = 300,
    days: int = 60,
    now: datetime | None = None,
    faults: str = "payment",
    speed: float = 100_000.0,
    skus: int = 240,
    wrappers: Sequence[Wrapper] = (),
) -> Iterator[Sandbox]:
    """A sandbox in a thread on a free port, closed at the end of the block.

    `with start(seed=1, orders=300, days=60, now=now) as sandbox: sandbox.url, sandbox.set_clock(t), sandbox.truth()`
    """
    sandbox = open_sandbox(
        seed=seed, now=now, days=days, skus=skus, orders=orders, faults=faults, speed=speed, wrappers=wrappers
    )
    thread = threading.Thread(target=sandbox.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield sandbox
    finally:
        sandbox.server.shutdown()
        sandbox.server.server_close()
        thread.join(timeout=5)
