"""One set of servers and processes for all fault tests of a test process; each test begins with a clean sheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domventas.tests.faults.processes import Processes
from domventas.tests.faults.servers import Servers
from domventas.tests.faults.world import World, furnish


@pytest.fixture(scope="session")
def house(django_test_environment: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[World]:
    """Servers and processes, kept from test to test: starting them is what takes the time."""
    servers = Servers()
    with django_db_blocker.unblock(), servers.running():
        processes = Processes(tmp_path_factory.mktemp("faults") / "processes.log")
        with servers.pointed():
            furnish(servers)
        yield World(servers, processes)
        processes.close()


@pytest.fixture
def world(house: World, django_db_blocker: Any, request: pytest.FixtureRequest) -> Iterator[World]:
    """The house with nothing in it; after a test that failed, without its processes too."""
    failed = request.session.testsfailed
    with django_db_blocker.unblock(), house.servers.pointed():
        house.clean()
        house.processes.supervised = request.node.get_closest_marker("scenario") is not None
        yield house
        if request.session.testsfailed > failed:
            house.processes.close()
