"""Orders on the pages of lower apps: how many wait for each unmapped item."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from domventas.core.panels import Panel
from orders.selectors import held


def waiting(request: HttpRequest, subject: object) -> dict[str, Any]:
    """Columns for a query of unmapped items."""
    return {"columns": {"waiting_orders": held.waiting(), "waiting_to_leave": held.waiting(to_leave=True)}}


unmapped = Panel(page="catalog.unmapped", name="orders", title=_("Orders"), template="", rows=waiting,
                 perm="orders.view_order")  # fmt: skip
