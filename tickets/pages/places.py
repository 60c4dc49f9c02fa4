"""Where a finding is put right: detectors name the place, this knows its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

#: Place → what people call it, its address, and the right to look at it.
PLACES: Final[dict[str, tuple[Any, str, str]]] = {
    "order": (_("Order"), "orders:order", "orders.view_order"),
    "parcels": (_("Shipments"), "admin:orders_shipment_changelist", "orders.view_shipment"),
    "pushes": (_("Writing back"), "marketplaces:pushes", "marketplaces.view_pushflow"),
    "commands": (_("All commands"), "admin:marketplaces_outboxcommand_changelist", "marketplaces.view_outboxcommand"),
    "monitor": (_("Integration monitor"), "marketplaces:monitor", "marketplaces.view_stream"),
    "events": (_("Events"), "admin:marketplaces_inboundevent_changelist", "marketplaces.view_inboundevent"),
    "inlets": (_("Inlets"), "admin:marketplaces_inlet_changelist", "marketplaces.view_inlet"),
    "account": (_("Account"), "admin:marketplaces_account_change", "marketplaces.view_account"),
    "quarantine": (_("Quarantine"), "admin:marketplaces_quarantined_changelist", "marketplaces.view_quarantined"),
    "drift": (_("New fields and values"), "admin:marketplaces_schemadrift_changelist", "marketplaces.view_schemadrift"),
    "settlements": (_("Settlements"), "finance:settlements", "finance.view_settlement"),
    "runs": (_("Task runs"), "admin:core_taskrun_changelist", "core.view_taskrun"),
}


def place_of(refs: Mapping[str, Any], may: Callable[[str], bool]) -> tuple[Any, str] | None:
    """What the place is called and its address; None where the detector named none.

    `refs` may hold `where` (the place), `where_row` (whose page it is) and `where_only` (filters of a list). Who may
    not look there gets no address: they learn whose work it is.
    """
    known = PLACES.get(str(refs.get("where", "")))
    if known is None:
        return None
    label, route, right = known
    if not may(right):
        return label, ""
    row = refs.get("where_row")
    only = refs.get("where_only")
    return label, reverse(route, args=[row] if row else None) + (f"?{urlencode(only)}" if only else "")
