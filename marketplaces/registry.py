"""All connectors by name, gathered from the packages the settings name: a new marketplace is a new folder."""

from __future__ import annotations

from django.conf import settings

from domventas.core.registry import Registry
from marketplaces.port import Connector

connectors: Registry[Connector] = Registry(Connector, tuple(settings.DOMVENTAS_CONNECTORS))


def marketplace_choices() -> list[tuple[str, str]]:
    """(name, label) of every marketplace, for filters and forms."""
    return [(name, connector.label) for name, connector in connectors.items()]
