"""Sites whose marketplace says nowhere by itself what it paid."""

from __future__ import annotations

from marketplaces.models import Site
from marketplaces.registry import connectors


def sites_without_statements() -> list[str]:
    """Sites of marketplaces with no call for statements or bookings: what they paid is known only as far as people
    have brought statements as files, and nothing outside of those can be called late."""
    silent = [
        connector.name
        for connector in connectors.values()
        if connector.settlements is None and connector.transactions is None
    ]
    return list(Site.objects.filter(channel__in=silent).values_list("code", flat=True)) if silent else []
