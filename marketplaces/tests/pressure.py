"""Real worker processes for tests under pressure: forks that share database, Valkey and sandbox, and nothing else."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable
from typing import Any

from django.db import connections

FORK = multiprocessing.get_context("fork")


def in_processes(work: Callable[[int, Any], Any], count: int = 8, *, seconds: float = 60.0) -> list[Any]:
    """Run `work(number, barrier)` in so many processes at once; returns what each returned.

    `barrier` lets all of them meet. Raises: AssertionError: one of them failed, with its traceback.
    """
    connections.close_all()  # a connection carried into a child would be used by two
    barrier = FORK.Barrier(count)
    lines = [FORK.Pipe(duplex=False) for _ in range(count)]
    children = [
        FORK.Process(target=_child, args=(work, number, barrier, lines[number][1]), daemon=True)
        for number in range(count)
    ]
    for child in children:
        child.start()
    found = [reader.recv() if reader.poll(seconds) else (False, "still running") for reader, _ in lines]
    for child in children:
        child.join(timeout=5)
        if child.is_alive():
            child.kill()
    failed = [told for is_good, told in found if not is_good]
    assert not failed, failed[0]
    return [told for _, told in found]


def _child(work: Callable[[int, Any], Any], number: int, barrier: Any, line: Any) -> None:
    try:
        line.send((True, work(number, barrier)))
    except BaseException:
        line.send((False, traceback.format_exc()))
    finally:
        connections.close_all()
