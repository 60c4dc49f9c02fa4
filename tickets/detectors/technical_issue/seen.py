"""How a technical finding looks: one child of the incident of its account and flow, with the place to put it right."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from domventas.core.templatetags.figures import local_times
from marketplaces.selectors.trouble import Place
from tickets.detector import Level, Seen

#: Blind to orders, we miss ship-by dates and pay for it; blind to money, we lose claims; the rest can wait a little.
AT_LEAST: Final = {"orders": "S1", "shipments": "S1", "settlements": "S2", "transactions": "S2", "payouts": "S2"}
OTHERS: Final = "S3"


def moment(at: datetime) -> str:
    """A moment in the client's zone with its name: what a finding says is also read where no page names the zone."""
    return localtime(at).strftime("%Y-%m-%d %H:%M %Z")


def of_flow(
    place: Place, check: str, what: str, cause: str, action: str, *, part: str = "", level: Level = Level.OPEN,
    severity: str = "", facts: dict[str, Any] | None = None, where: str = "monitor", row: int | None = None,
    only: dict[str, Any] | None = None, deadline_at: datetime | None = None, ticket_title: str = "",
) -> Seen:  # fmt: skip
    """One child of the incident of this account and flow.

    Args:
        part: tells children of one check apart.
        where: the place it is put right at; `row` is whose page, `only` the filters of a list.
    """
    at, flow = f"{place.account} {place.flow}", f"{place.account_id}:{place.flow}"
    return Seen(
        check=check, fingerprint=f"{check}:{flow}:{part}"[:200], ticket_key=f"flow:{flow}",
        title=f"{at}: {what}", ticket_title=ticket_title or _("%(where)s does not run as it should") % {"where": at},
        cause=local_times(cause)[:300], action=action, account_id=place.account_id, channel=place.channel, level=level,
        severity=severity or AT_LEAST.get(place.flow, OTHERS), deadline_at=deadline_at,
        refs={"flow": place.flow, "where": where, "where_row": row, "where_only": only or {}}, facts=facts or {},
    )  # fmt: skip
