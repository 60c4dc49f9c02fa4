"""The trust line's part about the connections: up to when everything is here, and which flows are late."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.http import HttpRequest
from django.urls import reverse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from domventas.core.models import Client
from domventas.core.pages import Fact
from domventas.core.panels import Panel
from domventas.core.templatetags.figures import ago
from domventas.core.tenancy import current
from marketplaces.pages.words import FLOWS, HEALTHS
from marketplaces.selectors import monitor
from marketplaces.selectors.monitor import Health, Row
from marketplaces.selectors.outbox import is_stopped

#: Late flows named one by one before they are only counted.
NAMED: Final = 2


def facts(request: HttpRequest, subject: object) -> dict[str, Any]:
    """How far the orders are complete, in the client's zone, and the flows that are late."""
    now = clock()
    rows = monitor.rows(now=now)
    url = reverse("marketplaces:monitor")
    stopped = [Fact("bad", _("All pushes are stopped"), reverse("marketplaces:pushes"))] if is_stopped() else []
    if not rows:
        told = [*stopped, Fact("warn", _("No marketplace is connected yet"), url)]
        return {"facts": told, "monitor_url": url}
    zone = ZoneInfo(Client.objects.get(pk=current().one).zone)
    orders = monitor.trust(row for row in rows if row.flow == "orders")
    late = monitor.trust(rows).late
    told = [*stopped, _complete(orders.complete_until, bool(orders.late), url, zone, now), *_late(late, url, now)]
    return {"facts": told, "monitor_url": url}


def _complete(until: datetime | None, is_late: bool, url: str, zone: ZoneInfo, now: datetime) -> Fact:
    if until is None:
        return Fact("warn", _("Orders not complete yet:"), url, strong=_("an account was never read to its end"))
    local = until.astimezone(zone)
    same_day = local.date() == now.astimezone(zone).date()
    words = f"{local:%H:%M}" if same_day else f"{local.day} {local:%b, %H:%M}"
    return Fact("warn" if is_late else "good", _("Orders complete up to"), url, strong=words)


def _late(late: list[Row], url: str, now: datetime) -> list[Fact]:
    dear = sorted(late, key=lambda row: (list(Health).index(row.health), row.account, row.flow))
    told = [
        Fact(
            "bad" if row.health in (Health.BROKEN, Health.FORBIDDEN, Health.FAILING) else "warn",
            f"{row.account} {str(FLOWS[row.flow]).lower()}",
            f"{url}?stream={row.stream_id}#stream",
            strong=HEALTHS[row.health],
            rest=f"({ago(row.complete_until, now)})" if row.complete_until else "",
        )
        for row in dear[:NAMED]
    ]
    if (more := len(dear) - NAMED) > 0:
        words = ngettext("%(count)d more flow is not fresh", "%(count)d more flows are not fresh", more)
        told.append(Fact("warn", words % {"count": more}, f"{url}?state=wrong"))
    return told


trust = Panel(page="trust", name="marketplaces", title=_("Connections"), template="", rows=facts, order=10,
              perm="marketplaces.view_stream")  # fmt: skip
