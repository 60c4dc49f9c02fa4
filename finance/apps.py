"""The app's place in Django, and the receivers it listens with."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FinanceConfig(AppConfig):
    """Money: rules, expectations, settlements and what is owed."""

    name = "finance"
    verbose_name = _("Finance")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for new accounts, and tell the gap scan which orders statements name."""
        from finance import receivers  # noqa: F401 - the import is the registration
        from finance.selectors import unknown_orders
        from marketplaces.selectors.gaps import order_gap_finders

        if unknown_orders.named not in order_gap_finders:
            order_gap_finders.append(unknown_orders.named)
