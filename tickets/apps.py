"""Tickets: the detectors are gathered when the app starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TicketsConfig(AppConfig):
    """Loads every detector, so that a broken one stops the start and not the night's run."""

    name = "tickets"
    verbose_name = _("Tickets")

    def ready(self) -> None:
        """Gather the detectors and the panels of this app."""
        from tickets import registry

        registry.DETECTORS.load()
