"""Sites whose marketplace says nowhere what it paid."""

from __future__ import annotations

from marketplaces.models import Site
from marketplaces.registry import connectors


def sites_without_statements() -> list[str]:
    """Sites of marketplaces that state nowhere what they paid: nothing there can be called paid or late."""
    silent = [
        connector.name
        for connector in connectors.values()
        if connector.settlements is None and connector.transactions is None
    ]
    return list(Site.objects.filter(channel__in=silent).values_list("code", flat=True)) if silent else []
