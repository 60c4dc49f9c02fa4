"""Marketplaces: the border. The connectors and the loaders behind them are gathered when the app starts."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MarketplacesConfig(AppConfig):
    """Loads every connector, so that a broken one stops the start and not the night's sync."""

    name = "marketplaces"
    verbose_name = _("Marketplaces")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Gather connectors and loaders; ship the sites with each migration."""
        from django.core import checks
        from django.db.models.signals import post_migrate

        from marketplaces import loaders
        from marketplaces.registry import connectors
        from marketplaces.services import inbox, quarantine, raw  # noqa: F401 - they declare where people may stand

        connectors.load()
        loaders.gather()
        checks.register(loaders.check_loaders)
        post_migrate.connect(_ship_sites, sender=self, dispatch_uid="sites")


def _ship_sites(using: str, **_: Any) -> None:
    from marketplaces.services.sites import sync_sites

    if using == "owner":
        sync_sites(using=using)
