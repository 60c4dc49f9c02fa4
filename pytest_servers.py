"""Starts the servers before pytest-django reads the settings; a conftest would be too late. Keeps processes apart."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> Iterator[Any]:
    """Start or join; an xdist worker inherits its controller's environment, and takes a Valkey database of its own."""
    if "DATABASE_URL" not in os.environ:
        import devservers

        devservers.serve("test")
    if worker := os.environ.get("PYTEST_XDIST_WORKER", ""):
        os.environ["REDIS_URL"] = own_database(os.environ["REDIS_URL"], int(worker.removeprefix("gw")) + 1)
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Stop where groups are not kept together: xdist tells its controller by the end of a test's id, or says nothing.

    Tests of one group share servers that only one process may have; apart they wait for each other, some for ever.
    """
    if not hasattr(config, "workerinput") or not config.getoption("loadgroup"):
        return
    for item in items:
        if (mark := item.get_closest_marker("xdist_group")) and not item.nodeid.endswith(f"@{mark.args[0]}"):
            words = "this pytest-xdist does not keep the groups of this pytest together"
            os.write(2, f"{words}\n".encode())  # of a worker's own error the controller tells nothing
            raise pytest.UsageError(words)


def own_database(url: str, number: int) -> str:
    """The same Valkey, another database: accounts of the same number must not share a budget across processes."""
    if url.startswith("unix://"):
        return f"{url.partition('?')[0]}?db={number}"
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def _lock(name: str, how: int) -> int:
    state = hashlib.sha256((os.environ.get("DOMVENTAS_STATE") or str(ROOT)).encode()).hexdigest()[:8]
    handle = os.open(Path(tempfile.gettempdir()) / f"domventas-{state}-{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, how)
    return handle


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Let tests marked `alone` wait until no other test runs; the gate keeps the others from passing them for ever."""
    how = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    gate = _lock("gate", how)
    room = _lock("room", how)
    os.close(gate)
    try:
        return (yield)
    finally:
        os.close(room)
