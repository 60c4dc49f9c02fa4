"""Orders in which something has to be done, one tab for each reason, with the step that frees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.decorators import permission_required
from django.core.paginator import Paginator
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from domventas.core.pages import page, with_query
from orders.models import Order, OrderException, OrderLine
from orders.selectors import stuck

PER_PAGE: Final = 50
TABS: Final = {"held": _("Offer unknown"), "late": _("Past ship-by date"), "odd": _("Something odd")}


@require_GET
@permission_required("orders.view_order", raise_exception=True)
def show(request: HttpRequest) -> HttpResponse:
    """Draw the orders of one reason, the oldest first; without a reason, the first that has any."""
    now = clock()
    counts = stuck.counts(now=now)
    reason = _reason(request, counts)
    rows = Paginator(_detailed(stuck.orders(reason, now=now)), PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "title": _("Stuck orders"),
        "reason": reason,
        "tabs": _tabs(request, counts, reason, now),
        "rows": rows,
        "before": with_query(request, page=rows.number - 1) if rows.has_previous() else "",
        "after": with_query(request, page=rows.number + 1) if rows.has_next() else "",
        "may_map": request.user.has_perm("catalog.view_unmappeditem"),
        "now": now,
    }
    return page(request, "orders/stuck.html", context)


def _reason(request: HttpRequest, counts: dict[str, int]) -> str:
    asked = request.GET.get("reason", "")
    return asked if asked in counts else next((name for name, count in counts.items() if count), "held")


def _tabs(request: HttpRequest, counts: dict[str, int], reason: str, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "count": counts[name],
            "sums": stuck.values(name, now=now),
            "url": with_query(request, reason=name, page=None),
            "is_open": name == reason,
        }
        for name, label in TABS.items()
    ]


def _detailed(orders: QuerySet[Order]) -> QuerySet[Order]:
    """With the lines that are held and what is odd, for the rows of one page."""
    held = OrderLine.objects.exclude(hold="").order_by("external_id")
    odd = OrderException.objects.filter(resolved_at=None).order_by("code")
    return orders.prefetch_related(
        Prefetch("lines", queryset=held, to_attr="held"), Prefetch("exceptions", queryset=odd, to_attr="odd")
    )
