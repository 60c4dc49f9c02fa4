"""Confirming a parcel of an order: what is in it, how it travels, what the marketplace will be told; then yes or no."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.timezone import localtime
from django.utils.timezone import now as clock
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from domventas.core.errors import DomventasError
from domventas.core.pages import page
from marketplaces.models import PushFlow
from marketplaces.services import push_flows
from orders.models import Order
from orders.selectors import shipments
from orders.services.shipments import Parcel, confirm


class ParcelForm(forms.Form):
    """Pieces by line (`pieces_<line>`), carrier and numbers; times in the client's zone."""

    carrier = forms.ChoiceField(label=_("Carrier"))
    tracking_number = forms.CharField(label=_("Tracking number"), max_length=100, required=False)
    shipped_at = forms.DateTimeField(
        label=_("Left us at"), input_formats=["%Y-%m-%dT%H:%M"],
        widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"}),
    )  # fmt: skip
    return_carrier = forms.ChoiceField(label=_("Carrier of the return label"), required=False)
    return_tracking = forms.CharField(label=_("Number of the return label"), max_length=100, required=False)

    def __init__(self, order: Order, left: list[shipments.Left], data: Any = None, *, now: datetime) -> None:
        super().__init__(data, initial={"shipped_at": localtime(now).strftime("%Y-%m-%dT%H:%M")})
        known = shipments.carriers(order.account).values()
        self.left = [each for each in left if each.quantity]
        self._offer("carrier", [("", "–"), *((each.carrier, each.name) for each in known)])
        back = [(each.carrier, each.name) for each in known if each.return_code]
        self._offer("return_carrier", [("", "–"), *back])
        if not back:
            del self.fields["return_carrier"], self.fields["return_tracking"]
        for each in self.left:
            self.fields[f"pieces_{each.line.pk}"] = forms.IntegerField(
                label=each.line.external_id, min_value=0, max_value=each.quantity, initial=each.quantity, required=False
            )

    def _offer(self, name: str, choices: list[tuple[str, Any]]) -> None:
        self.fields[name].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    @property
    def pieces(self) -> list[tuple[shipments.Left, forms.BoundField]]:
        """Each line that can be shipped with its field."""
        return [(each, self[f"pieces_{each.line.pk}"]) for each in self.left]

    @property
    def way(self) -> list[forms.BoundField]:
        """The fields about carrier, numbers and time."""
        return [field for field in self if not field.name.startswith("pieces_")]

    @property
    def parcel(self) -> Parcel:
        """What was said, once it is valid."""
        given = self.cleaned_data
        return Parcel(
            pieces={each.line.pk: given[f"pieces_{each.line.pk}"] or 0 for each in self.left},
            carrier=given["carrier"],
            tracking_number=given["tracking_number"].strip(),
            shipped_at=given["shipped_at"].astimezone(UTC),
            return_carrier=given.get("return_carrier", ""),
            return_tracking=given.get("return_tracking", "").strip(),
        )


@require_http_methods(["GET", "POST"])
@permission_required("orders.view_order", raise_exception=True)
def ship(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the parcel (GET, or POST `step=edit`), show what will be told (`preview`), and do it (`confirm`)."""
    order = get_object_or_404(Order.objects.select_related("account", "site"), pk=pk)
    if not request.user.has_perm("orders.add_shipment"):
        raise PermissionDenied
    now = clock()
    form = ParcelForm(order, shipments.left(order), request.POST or None, now=now)
    is_valid = request.method == "POST" and form.is_valid()
    if is_valid and request.POST.get("step") == "confirm":
        try:
            shipment = confirm(order, form.parcel, now=now)
        except DomventasError as error:
            messages.error(request, error.message)
            return _drawn(request, order, form, preview=False)
        messages.success(request, _("Parcel %(number)d is confirmed.") % {"number": shipment.number})
        return redirect("orders:order", order.pk)
    return _drawn(request, order, form, preview=is_valid and request.POST.get("step") == "preview")


def _drawn(request: HttpRequest, order: Order, form: ParcelForm, *, preview: bool) -> HttpResponse:
    push = shipments.push_of(order.account)
    context = {
        "title": _("Confirm a parcel"),
        "order": order,
        "form": form,
        "why_not": [] if form.left else [each for each in shipments.left(order) if each.why_not],
        "can_be_told": push is not None,
        "is_whole": push is not None and not push.partial,
        "preview": form.parcel if preview else None,
        "carrier_name": shipments.carriers(order.account)[form.parcel.carrier].name if preview else "",
        "said": [(each, form.cleaned_data[f"pieces_{each.line.pk}"] or 0) for each in form.left] if preview else [],
        "mode": _mode(order) if push else "",
    }
    return page(request, "orders/ship.html", context, status=200 if preview or not form.errors else 422)


def _mode(order: Order) -> str:
    """Whether the marketplace will really be told: live, shadow or stopped."""
    flow = push_flows.flow_of(order.account, shipments.VERB, now=clock())
    return PushFlow.Mode(push_flows.mode_in_force(flow)).value
