"""Which accounts' data is too old to judge by: nothing is opened or closed on stale data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from marketplaces.models import Account, Stream
from marketplaces.registry import connectors

PATIENCE = 2
"""A flow is stale when its newest complete data is older than twice its target."""


def stale_accounts(flows: Iterable[str], *, now: datetime) -> set[int]:
    """Accounts where one of the flows they have is stale, was never read, or is paused; two queries."""
    wanted = set(flows)
    if not wanted:
        return set()
    streams = {(s.account_id, s.flow): s for s in Stream.objects.filter(flow__in=wanted)}
    stale: set[int] = set()
    for account in Account.objects.all():
        connector = connectors.get(account.channel)
        flows_here = connector.flows if connector else {}
        for name in wanted & set(flows_here):
            stream = streams.get((account.pk, name))
            seen = (stream.complete_until or stream.last_success_at) if stream else None
            if seen is None or now - seen > PATIENCE * flows_here[name].freshness:
                stale.add(account.pk)
    return stale
