"""How the time to be asked for is cut into the windows a provider accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from marketplaces.port import Flow, Window
from marketplaces.services.claims import Span


def cut(spans: Iterable[Span], longest: timedelta) -> Iterator[Span]:
    """The spans in pieces no longer than a provider accepts."""
    for since, until in spans:
        start = since
        while start < until:
            end = min(start + longest, until)
            yield start, end
            start = end


def asked(span: Span, flow: Flow, *, now: datetime) -> Window:
    """What is asked for to cover a span: a little earlier as well, as sources show changes late.

    Never further back than the provider answers.
    """
    oldest = min(span[0], now - flow.history)
    return Window(since=max(span[0] - flow.overlap, oldest), until=span[1])
