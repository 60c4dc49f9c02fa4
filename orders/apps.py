"""The app's place in Django, and the receiver it listens with."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class OrdersConfig(AppConfig):
    """Orders, their lines and what became of them."""

    name = "orders"
    verbose_name = _("Orders")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for offers that were mapped."""
        from orders import receivers  # noqa: F401 - the import is the registration
