"""One order in one window: its lines and amounts, what became of it, and what other apps know of it."""

from __future__ import annotations

from django.contrib.auth.decorators import permission_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from catalog.selectors.unmapped import items_of
from domventas.core import panels, reveal
from domventas.core.pages import page
from domventas.core.whomay import who_may
from orders.models import Order, OrderLine
from orders.models.orders import OPEN_STATUSES
from orders.selectors import detail, shipments


@require_GET
@permission_required("orders.view_order", raise_exception=True)
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Draw the order; apps above put their panels on `orders.order`, whose subject is the Order."""
    try:
        found = detail.order(pk)
    except Order.DoesNotExist:
        raise Http404 from None
    parts = [
        (drawn.panel, render_to_string(drawn.panel.template, dict(drawn.data), request))
        for drawn in panels.draw(request, "orders.order", found.order)
    ]
    is_open = found.order.status in OPEN_STATUSES
    context = {
        "title": found.order.external_id,
        "detail": found,
        "parts": parts,
        "open_oddities": [odd for odd in found.exceptions if odd.resolved_at is None],
        "reveal_url": _reveal_url(request, found),
        "parcel_states": [(state, *how) for state, how in shipments.STATES.items()],
        "parcels": shipments.of_order(found.order),
        "may_ship": is_open and request.user.has_perm("orders.add_shipment"),
        "who_ships": who_may(request, "orders.add_shipment", _("Confirming a parcel")) if is_open else None,
        "lines": _with_items(found),
        "may_see_raw": request.user.has_perm("marketplaces.view_rawdocument"),
    }
    return page(request, "orders/order.html", context)


def _with_items(found: detail.Detail) -> list[tuple[OrderLine, int | None]]:
    """Each line with the unmapped item of its offer, if that is unknown."""
    unknown = items_of((line.account_id, line.offer_ref) for line in found.lines if line.sku_id is None)
    return [(line, unknown.get((line.account_id, line.offer_ref))) for line in found.lines]


def _reveal_url(request: HttpRequest, found: detail.Detail) -> str:
    """Where the buyer's data is shown for a reason; empty where there is none, or none for this person."""
    if found.contact_id is None or not request.user.has_perm(reveal.SEE):
        return ""
    return reverse("admin:orders_buyercontact_reveal", args=[found.contact_id])


@require_GET
@permission_required("orders.view_order", raise_exception=True)
def by_number(request: HttpRequest, account: str, external_id: str) -> HttpResponse:
    """The order by the numbers people know: the account's code and the marketplace's order number."""
    found = get_object_or_404(Order, account__code=account, external_id=external_id)
    return redirect("orders:order", found.pk)
