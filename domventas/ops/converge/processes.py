"""Forks of this loaded process: the sandbox, and workers that can be killed at a counted statement."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.core.management import call_command
from django.db import connection, connections

READY = "sandbox ready "
CUT, KILL = b"c", b"k"


@contextmanager
def sandbox(log: Path, **options: Any) -> Iterator[str]:
    """The sandbox in a process of its own; yields its address. Raises: RuntimeError: it did not start."""
    reader, writer = os.pipe()
    child = fork(lambda: _serve(writer, options), log)
    os.close(writer)
    try:
        with os.fdopen(reader, encoding="utf-8") as told:
            line = told.readline()
            if not line.startswith(READY):
                raise RuntimeError(f"the sandbox did not start; see {log}")
            yield line.removeprefix(READY).strip()
    finally:
        kill(child)


def _serve(writer: int, options: dict[str, Any]) -> None:
    with os.fdopen(writer, "w", encoding="utf-8") as out:
        call_command("sandbox", stdout=out, **options)


class Worker:
    """A process at work that tells when it reaches the counted statements.

    Args:
        moments: counts of statements, ascending, with what is to happen there: `CUT` or `KILL`.
    """

    def __init__(self, work: Callable[[], None], moments: list[tuple[int, bytes]], log: Path) -> None:
        self._reader, writer = os.pipe()
        self.pid = fork(lambda: _counted(work, moments, writer), log)
        os.close(writer)

    def signals(self) -> Iterator[bytes]:
        """Each moment as it is reached; ends when the process has ended."""
        while told := os.read(self._reader, 1):
            yield told

    def end(self, *, by_force: bool = False) -> int:
        """Wait for the process, killing it first `by_force`; returns its exit code, negative for a signal."""
        if by_force:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        status = os.waitpid(self.pid, 0)[1]
        os.close(self._reader)
        return os.waitstatus_to_exitcode(status)


def fork(work: Callable[[], None], log: Path) -> int:
    """Run something in a fork of this process, which must have no threads; its output goes to a log.

    The fork ends with its parent, with code 1 after an error.
    """
    for each in connections.all():
        each.close()
    parent = os.getpid()
    if (pid := os.fork()) == 0:
        _child(work, log, parent)
    return pid


def _child(work: Callable[[], None], log: Path, parent: int) -> NoReturn:
    code = 1
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(file, number)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def kill(pid: int) -> None:
    """End a child at once."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _counted(work: Callable[[], None], moments: list[tuple[int, bytes]], writer: int) -> None:
    waiting, count = list(moments), 0

    def counting(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal count
        count += 1
        while waiting and count >= waiting[0][0]:
            os.write(writer, waiting.pop(0)[1])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(counting):
        work()
