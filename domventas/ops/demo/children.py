"""The processes the demo runs beside itself; they end with it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

WAIT_SECONDS = 60
STOP_SECONDS = 8


def free_port(wanted: int) -> int:
    """The wanted port on the loopback, or the next one that is free."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise CommandError(f"no free port between {wanted} and {wanted + 49}")


def state_dir() -> Path:
    """Where the demo keeps its logs and the sandbox its world."""
    path = Path(os.environ.get("DOMVENTAS_STATE") or settings.BASE_DIR / ".domventas") / "demo"
    path.mkdir(parents=True, exist_ok=True)
    return path


class Children:
    """Processes started by the demo: stopped together, and never left behind."""

    def __init__(self) -> None:
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], *, env: dict[str, str] | None = None) -> None:
        """Start one; its output goes to a log of its own."""
        with self._log(name).open("wb") as log:
            self.running[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=settings.BASE_DIR,
                env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent if sys.platform == "linux" else None,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends them in order
            )  # fmt: skip

    def wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait until it answers. Raises: CommandError: it ended or does not answer; with the end of its log."""
        end = time.monotonic() + WAIT_SECONDS
        while not ready():
            if self.running[name].poll() is not None or time.monotonic() > end:
                raise CommandError(f"{name} did not start:\n{self.tail(name)}")
            time.sleep(0.05)

    def dead(self) -> str:
        """The name of one that has ended by itself, or nothing."""
        return next((name for name, child in self.running.items() if child.poll() is not None), "")

    def tail(self, name: str, lines: int = 20) -> str:
        """The end of its log."""
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End them all, politely first; what does not go is ended with all it has started."""
        for child in self.running.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for child in self.running.values():
            try:
                child.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        self.running.clear()

    def _log(self, name: str) -> Path:
        return state_dir() / f"{name}.log"


def _die_with_parent() -> None:
    """Linux ends the child when the demo is killed, so that nothing stays behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
