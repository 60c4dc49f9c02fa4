"""How the pages call flows and healths, and how a monitor cell looks."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from marketplaces.selectors.monitor import Health

FLOWS: Final[dict[str, Any]] = {
    "orders": _("Orders"),
    "offers": _("Offers"),
    "settlements": _("Settlements"),
    "transactions": _("Transactions"),
    "payouts": _("Payouts"),
}
"""Flow → what people call it, in the order of the columns."""

PUSHES: Final[dict[str, Any]] = {"shipments": _("Shipments")}
"""Push → what people call it."""

HEALTHS: Final[dict[Health, Any]] = {
    Health.BROKEN: _("sign-in refused"),
    Health.FORBIDDEN: _("right missing"),
    Health.FAILING: _("failing"),
    Health.LATE: _("late"),
    Health.NEVER: _("never read"),
    Health.PAUSED: _("paused"),
    Health.FRESH: _("fresh"),
}

LOOKS: Final[dict[Health, tuple[str, str]]] = {
    Health.BROKEN: ("fail", "✕"),
    Health.FORBIDDEN: ("fail", "✕"),
    Health.FAILING: ("fail", "✕"),
    Health.LATE: ("late", "▲"),
    Health.NEVER: ("never", "○"),
    Health.PAUSED: ("paused", "‖"),
    Health.FRESH: ("ok", ""),
}
"""Health → class and glyph of its cell."""
