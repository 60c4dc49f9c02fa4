"""Confirming that a parcel has left: our own fact, and the command to the marketplace, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from domventas.core import tenancy
from domventas.core.errors import Refused
from marketplaces.commands import Push, ShipmentCommand, ShippedLine
from marketplaces.commands import ShipFrom as Start
from marketplaces.models import OutboxCommand
from marketplaces.services import outbox
from orders.models import Order, OrderEvent, ShipFrom, Shipment, ShipmentLine
from orders.selectors import shipments
from orders.selectors.shipments import VERB, Carrier, Left

#: A clock that runs ahead by so much is no mistake.
AHEAD: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What somebody says has left.

    Attributes:
        pieces: pieces by the key of the order line; lines with 0 are not in the parcel.
        carrier: our own name of the carrier; so is `return_carrier`, of the return label inside.
    """

    pieces: Mapping[int, int]
    carrier: str
    tracking_number: str
    shipped_at: datetime
    return_carrier: str = ""
    return_tracking: str = ""


def confirm(order: Order, parcel: Parcel, *, now: datetime) -> Shipment:
    """Keep that the parcel has left, and tell the marketplace as soon as the push flow lets it.

    Raises: Refused: naming what is wrong: a line that is held, canceled or shipped, too many pieces, an unknown
        carrier, a missing number, an impossible time, or a parcel that is confirmed already.
    """
    with transaction.atomic():
        order = Order.objects.select_for_update(of=("self",)).select_related("account", "site").get(pk=order.pk)
        push, carrier, back = _checked_way(order, parcel, now=now)
        held = _checked_pieces(order, parcel, push)
        shipment = _write(order, parcel, held, now=now)
        outbox.put(
            order.account, VERB, shipment.ref, _command(order, shipment, parcel, held, carrier, back, push),
            subject=str(_("Order %(order)s, parcel %(number)d")) % {"order": order, "number": shipment.number},
            order_key=order.external_id, now=now,
        )  # fmt: skip
    return shipment


def note_settled(command: OutboxCommand, *, now: datetime) -> None:
    """Write into the order's history what the marketplace made of a parcel."""
    shipment = Shipment.objects.filter(pk=int(command.key)).first() if command.key.isdigit() else None
    if command.verb != VERB or shipment is None:
        return
    told = command.message or command.provider_ref
    what = f"parcel_{command.state}"
    _event(shipment, what, f"#{shipment.number} {told}".strip(), actor=command.account.name, now=now)


def _checked_way(order: Order, parcel: Parcel, *, now: datetime) -> tuple[Push, Carrier, Carrier | None]:
    push = shipments.push_of(order.account)
    if push is None:
        raise Refused(_("%(account)s cannot be told of shipments.") % {"account": order.account})
    known = shipments.carriers(order.account)
    carrier, back = known.get(parcel.carrier), known.get(parcel.return_carrier)
    if carrier is None:
        raise Refused(_("%(account)s knows no carrier “%(name)s”.") % _named(order, parcel.carrier))
    if "tracking_number" in push.needs and not parcel.tracking_number:
        raise Refused(_("The tracking number is missing."))
    if parcel.return_carrier and (back is None or not back.return_code):
        raise Refused(_("%(account)s takes no return labels of “%(name)s”.") % _named(order, parcel.return_carrier))
    if "return_tracking" in push.needs and not (parcel.return_tracking and back):
        raise Refused(_("%(account)s wants carrier and number of the return label.") % {"account": order.account})
    if parcel.shipped_at > now + AHEAD:
        raise Refused(_("The time of shipping lies in the future."))
    if parcel.shipped_at < order.ordered_at:
        raise Refused(_("The parcel cannot have left before the order was placed."))
    return push, carrier, back


def _checked_pieces(order: Order, parcel: Parcel, push: Push) -> dict[int, tuple[Left, int]]:
    left = {each.line.pk: each for each in shipments.left(order)}
    wanted = {key: pieces for key, pieces in parcel.pieces.items() if pieces}
    if unknown := wanted.keys() - left.keys():
        raise Refused(_("Line %(line)s is not of this order.") % {"line": min(unknown)})
    if not wanted:
        raise Refused(_("The parcel is empty: say how many pieces of which line are in it."))
    _refuse_twice(order, parcel)
    for key, pieces in wanted.items():
        each = left[key]
        told = {"line": each.line.external_id, "pieces": pieces, "left": each.quantity, "why": each.why_not}
        if pieces < 0:
            raise Refused(_("Line %(line)s: %(pieces)d is no number of pieces.") % told)
        if each.why_not:
            raise Refused(_("Line %(line)s cannot be shipped: %(why)s.") % told)
        if pieces > each.quantity:
            raise Refused(_("Line %(line)s: %(pieces)d pieces, but only %(left)d are left to ship.") % told)
    if not push.partial and any(each.quantity != wanted.get(key, 0) for key, each in left.items() if each.quantity):
        raise Refused(_("%(account)s is told of whole orders only: all that is left has to be in the parcel.")
                      % {"account": order.account})  # fmt: skip
    return {key: (left[key], pieces) for key, pieces in wanted.items()}


def _refuse_twice(order: Order, parcel: Parcel) -> None:
    same = Shipment.objects.filter(
        order=order, carrier=parcel.carrier, tracking_number=parcel.tracking_number
    ).exclude(tracking_number="")  # fmt: skip
    if shipments.with_state(same).exclude(state=OutboxCommand.State.REFUSED).exists():
        raise Refused(_("This parcel is confirmed already."))


def _write(order: Order, parcel: Parcel, held: dict[int, tuple[Left, int]], *, now: datetime) -> Shipment:
    last = Shipment.objects.filter(order=order).aggregate(last=Max("number"))["last"] or 0
    shipment = Shipment.objects.create(
        order=order, number=last + 1, carrier=parcel.carrier, tracking_number=parcel.tracking_number,
        return_carrier=parcel.return_carrier, return_tracking=parcel.return_tracking, shipped_at=parcel.shipped_at,
        created_at=now, created_by=tenancy.current().actor[:254],
    )  # fmt: skip
    ShipmentLine.objects.bulk_create(
        [ShipmentLine(shipment=shipment, line=each.line, quantity=pieces) for each, pieces in held.values()]
    )
    told = f"#{shipment.number} {parcel.carrier} {parcel.tracking_number}".strip()
    _event(shipment, "parcel_confirmed", told, actor=shipment.created_by, now=now)
    return shipment


def _event(shipment: Shipment, what: str, after: str, *, actor: str, now: datetime) -> None:
    OrderEvent.objects.create(order_id=shipment.order_id, what=what, after=after[:200], actor=actor[:254], at=now)


def _command(
    order: Order,
    shipment: Shipment,
    parcel: Parcel,
    held: dict[int, tuple[Left, int]],
    carrier: Carrier,
    back: Carrier | None,
    push: Push,
) -> ShipmentCommand:
    lines = tuple(
        ShippedLine(line_ref=each.line.external_id, quantity=pieces)
        for each, pieces in sorted(held.values(), key=lambda pair: pair[0].line.external_id)
    )
    return ShipmentCommand(
        ref=shipment.ref, site=order.site.code, order_ref=order.external_id, lines=lines, carrier=carrier.code,
        carrier_name=carrier.name, tracking_number=parcel.tracking_number, shipped_at=parcel.shipped_at,
        tracking_url=carrier.tracking_url.replace("{number}", parcel.tracking_number),
        return_carrier=back.return_code if back else "", return_tracking=parcel.return_tracking,
        ship_from=_start(order, push),
    )  # fmt: skip


def _start(order: Order, push: Push) -> Start | None:
    place = ShipFrom.objects.filter(account=order.account).first()
    if place is None:
        if "ship_from" in push.needs:
            raise Refused(
                _("%(account)s wants to know where parcels start: enter it under “places parcels start from”.")
                % {"account": order.account}
            )
        return None
    return Start(city=place.city, postal_code=place.postal_code, country=place.country)


def _named(order: Order, name: str) -> dict[str, object]:
    return {"account": order.account, "name": name}
