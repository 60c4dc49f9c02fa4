"""Where a finding is put right: detectors name the place, this knows its address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

#: Place → what people call it, and its address.
PLACES: Final[dict[str, tuple[Any, str]]] = {
    "order": (_("Order"), "orders:order"),
    "parcels": (_("Shipments"), "admin:orders_shipment_changelist"),
    "pushes": (_("Writing back"), "marketplaces:pushes"),
    "commands": (_("All commands"), "admin:marketplaces_outboxcommand_changelist"),
    "monitor": (_("Integration monitor"), "marketplaces:monitor"),
    "events": (_("Events"), "admin:marketplaces_inboundevent_changelist"),
    "inlets": (_("Inlets"), "admin:marketplaces_inlet_changelist"),
    "account": (_("Account"), "admin:marketplaces_account_change"),
    "quarantine": (_("Quarantine"), "admin:marketplaces_quarantined_changelist"),
    "drift": (_("New fields and values"), "admin:marketplaces_schemadrift_changelist"),
    "settlements": (_("Settlements"), "finance:settlements"),
    "runs": (_("Task runs"), "admin:core_taskrun_changelist"),
}


def place_of(refs: Mapping[str, Any]) -> tuple[Any, str] | None:
    """What the place is called and its address; None where the detector named none.

    `refs` may hold `where` (the place), `where_row` (whose page it is) and `where_only` (filters of a list).
    """
    known = PLACES.get(str(refs.get("where", "")))
    if known is None:
        return None
    label, route = known
    row = refs.get("where_row")
    only = refs.get("where_only")
    return label, reverse(route, args=[row] if row else None) + (f"?{urlencode(only)}" if only else "")
