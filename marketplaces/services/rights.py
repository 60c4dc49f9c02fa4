"""What we may not do at a marketplace, in words: which right is missing, for what, and what to do about it."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplaces.errors import Forbidden
from marketplaces.models import Account
from marketplaces.registry import connectors

DOING: Final[dict[str, Any]] = {
    "orders": gettext_lazy("to read orders"),
    "offers": gettext_lazy("to read offers"),
    "settlements": gettext_lazy("to read settlements"),
    "transactions": gettext_lazy("to read finances"),
    "payouts": gettext_lazy("to read payouts"),
    "shipments": gettext_lazy("to confirm shipments"),
}
"""Flow or push → what the right is for."""


def missing(account: Account, what: str, error: Forbidden) -> str:
    """Say which right the access lacks for a flow or push; at most 500 characters."""
    connector = connectors.get(account.channel)
    right = connector.rights.get(what, "") if connector else ""
    told = _(
        "The access lacks the right %(doing)s. Grant it at %(marketplace)s%(right)s; it is tried again every hour."
    ) % {
        "doing": DOING.get(what, what),
        "marketplace": connector.label if connector else account.channel,
        "right": f" ({right})" if right else "",
    }
    where = f" [{error.operation} {error.status or ''}".rstrip() + "]" if error.operation else ""
    return f"{told}{where}"[:500]
