"""Starts the servers before pytest-django reads the settings; a conftest would be too late."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> Iterator[Any]:
    """Start or join; an xdist worker inherits its controller's environment."""
    if "DATABASE_URL" not in os.environ:
        import devservers

        devservers.serve("test")
    return (yield)
