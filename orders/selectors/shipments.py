"""Shipments, what the marketplace has made of them, and what is left to ship of an order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import CharField, F, OuterRef, Prefetch, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplaces.commands import Push
from marketplaces.models import Account, OutboxCommand
from marketplaces.records import FulfillmentOwner, LineStatus
from marketplaces.registry import connectors
from marketplaces.selectors import outbox
from orders.models import Order, OrderLine, Shipment, ShipmentLine

VERB: Final = "shipments"

#: State of the confirmation → how people say it, and its look on a page.
STATES: Final[dict[str, tuple[Any, str]]] = {
    OutboxCommand.State.WAITING: (gettext_lazy("waits to be told"), ""),
    OutboxCommand.State.HELD: (gettext_lazy("held, not told"), "warn"),
    OutboxCommand.State.IN_FLIGHT: (gettext_lazy("being told"), ""),
    OutboxCommand.State.UNKNOWN: (gettext_lazy("told, no answer: being looked up"), "warn"),
    OutboxCommand.State.ACCEPTED: (gettext_lazy("accepted"), "good"),
    OutboxCommand.State.REFUSED: (gettext_lazy("refused"), "bad"),
    OutboxCommand.State.GIVEN_UP: (gettext_lazy("given up: see to it by hand"), "bad"),
    "": (gettext_lazy("never told"), "warn"),
}
_READY: Final = (LineStatus.TO_SHIP, LineStatus.PART_SHIPPED)
_NOT_YET: Final = (LineStatus.PENDING, LineStatus.TO_ACCEPT)
_GONE: Final = (LineStatus.CANCELED, LineStatus.REFUSED)


@dataclass(frozen=True, slots=True)
class Carrier:
    """One way to send, as the order's marketplace knows it. `code` and `return_code` are the marketplace's words."""

    carrier: str
    name: str
    code: str
    return_code: str
    tracking_url: str


@dataclass(frozen=True, slots=True)
class Left:
    """How many pieces of a line can still be shipped, or why none."""

    line: OrderLine
    quantity: int
    why_not: str = ""


def push_of(account: Account) -> Push | None:
    """How the account's marketplace is told of shipments; None when it cannot be."""
    connector = connectors.get(account.channel)
    return connector.pushes.get(VERB) if connector else None


def carriers(account: Account) -> dict[str, Carrier]:
    """The carriers the account's marketplace knows, by our own name for them."""
    connector = connectors.get(account.channel)
    rows = connector.reference("carriers") if connector else []
    return {row["carrier"]: Carrier(**row) for row in rows}


def with_state(rows: QuerySet[Shipment]) -> QuerySet[Any]:
    """With `state` ("" = nothing was ever put), `told` (what the marketplace said) and `provider_ref`."""
    key = Cast(OuterRef("pk"), CharField())
    newest = outbox.latest(OuterRef("order__account_id"), VERB, key)

    def of(column: str) -> Coalesce:
        return Coalesce(Subquery(newest.values(column)[:1]), Value(""))

    return rows.annotate(state=of("state"), told=of("message"), provider_ref=of("provider_ref"))


def of_order(order: Order) -> list[Any]:
    """The order's shipments with their pieces and states, the first one first, in two queries."""
    lines = Prefetch("lines", ShipmentLine.objects.select_related("line").order_by("line__external_id"))
    return list(with_state(Shipment.objects.filter(order=order)).prefetch_related(lines).order_by("number"))


def listed() -> QuerySet[Any]:
    """All shipments for a list, the newest first."""
    rows = Shipment.objects.select_related("order__account").annotate(pieces=Sum("lines__quantity"))
    return with_state(rows).order_by("-pk")


def commands(rows: QuerySet[Shipment]) -> QuerySet[OutboxCommand]:
    """What was put into the outbox for these shipments."""
    keys = rows.order_by().values_list(Cast("pk", CharField()), flat=True)
    return OutboxCommand.objects.filter(verb=VERB, key__in=list(keys))


def left(order: Order) -> list[Left]:
    """Each line of the order with what is left to ship of it, in two queries."""
    sent = _sent(order)
    rows = OrderLine.objects.filter(order=order).select_related("sku").order_by("external_id")
    return [_left(order, line, sent.get(line.pk, 0)) for line in rows]


def _sent(order: Order) -> dict[int, int]:
    """Pieces in parcels by line; a parcel the marketplace refused does not count, so that it can be put right."""
    parcels = with_state(Shipment.objects.filter(order=order)).exclude(state=OutboxCommand.State.REFUSED)
    rows = ShipmentLine.objects.filter(shipment__in=parcels.values("pk")).order_by()
    return dict(rows.values_list("line").annotate(pieces=Sum(F("quantity"))))


def _left(order: Order, line: OrderLine, sent: int) -> Left:
    why = _why_not(order, line)
    if why:
        return Left(line, 0, why)
    # What the marketplace counts as shipped includes ours as soon as it is read.
    open_ = line.quantity - (line.quantity_canceled or 0) - max(line.quantity_shipped or 0, sent)
    if open_ <= 0:
        return Left(line, 0, _("all of it is confirmed already") if sent else _("all of it has shipped"))
    return Left(line, open_)


def _why_not(order: Order, line: OrderLine) -> str:
    if order.fulfillment != FulfillmentOwner.SELLER:
        return _("we do not ship this order ourselves")
    if line.hold:
        return _("held: %(why)s") % {"why": line.get_hold_display()}
    if line.status in _GONE:
        return _("canceled")
    if line.status in _NOT_YET:
        return _("not released for shipping yet")
    if line.status not in _READY:
        return _("all of it has shipped")
    return ""
