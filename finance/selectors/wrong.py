"""Everything that is wrong with our money now, as the detectors ask for it."""

from __future__ import annotations

from collections.abc import Iterator

from finance.models import Discrepancy


def living() -> Iterator[Discrepancy]:
    """Discrepancies still true that nobody has accepted or claimed, with account and settlement; one query."""
    rows = Discrepancy.objects.filter(state=Discrepancy.State.OPEN).select_related("account", "settlement")
    yield from rows.order_by("fingerprint").iterator(chunk_size=2000)
