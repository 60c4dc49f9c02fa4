"""Python's search for objects that refer to each other in circles, kept out of the way of many rows."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_collected() -> Iterator[None]:
    """No such search inside the block, which makes many thousand small values and no circles.

    By default Python looks through the young ones after every 700 new, and through all it has every now and then: a
    tenth of the time of a page. What nothing refers to any more goes at once all the same.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
