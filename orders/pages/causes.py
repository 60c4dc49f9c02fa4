"""What each reason an order is stuck for holds up, and what to do next: in words, with the way there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplaces.records import LineStatus
from orders.models import OrderException
from orders.selectors.confirmations import Told
from orders.selectors.shipments import STATES
from orders.selectors.stuck import Reason, Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What a reason holds up and what frees the order, in full and as a row has room for it.

    `books` and `row_books` say it for an order of which nothing has to leave any more, where that makes a difference.
    """

    blocks: Any
    step: Any
    row: Any
    books: Any = ""
    row_books: Any = ""


CAUSES: Final[dict[str, Cause]] = {
    Reason.HELD: Cause(
        blocks=gettext_lazy("Nobody knows what to pack: it must not leave, while its ship-by date comes nearer."),
        step=gettext_lazy("Map the offer to its SKU, once; every order of it goes on by itself."),
        row=gettext_lazy("must not leave before the offer is mapped"),
        books=gettext_lazy("It has left. Its cost is unknown and its fees cannot be judged until the offer is mapped."),
        row_books=gettext_lazy("cost and fees are unknown until the offer is mapped"),
    ),
    Reason.LATE: Cause(
        blocks=gettext_lazy(
            "Every such order raises the account's late shipment rate, and the marketplace may cancel it."
        ),
        step=gettext_lazy("Ship it now and confirm the parcel, or cancel it at the marketplace."),
        row=gettext_lazy("raises the late shipment rate: ship and confirm it, or cancel it there"),
    ),
    Reason.ACCEPT: Cause(
        blocks=gettext_lazy("The buyer waits for our yes; unanswered, the marketplace refuses the order by itself."),
        step=gettext_lazy("Accept or refuse it in the seller portal."),
        row=gettext_lazy("accept or refuse it in the seller portal, before it is refused by itself"),
    ),
    Reason.UNTOLD: Cause(
        blocks=gettext_lazy("It has left, and the marketplace counts it as not shipped: its clock runs on."),
        step=gettext_lazy("Read what the marketplace said about the parcel, mend that and confirm the parcel anew."),
        row=gettext_lazy("counts as not shipped there: see what was said, and confirm it anew"),
    ),
    Reason.STATUS: Cause(
        blocks=gettext_lazy("Nobody knows whether it has to ship: it stands in no wave, and no clock runs for it."),
        step=gettext_lazy(
            "Look at it in the seller portal, and tell who looks after the connections what the word means."
        ),
        row=gettext_lazy("see in the seller portal whether it has to ship"),
    ),
    Reason.UNREAD: Cause(
        blocks=gettext_lazy("What stands here may be out of date: a newer message about it waits in quarantine."),
        step=gettext_lazy("See why in the quarantine, and try it again there once the cause is gone."),
        row=gettext_lazy("what stands here may be out of date"),
    ),
    Reason.TOTAL: Cause(
        blocks=gettext_lazy("What is expected for it comes from its lines, so it may be wrong by the difference."),
        step=gettext_lazy("Compare it with the raw document; mark it as seen to if it is right."),
        row=gettext_lazy("its expected money may be wrong by the difference"),
    ),
    Reason.PRICE: Cause(
        blocks=gettext_lazy("A gift, a replacement or a wrong price: nothing is expected for that line."),
        step=gettext_lazy("Check the price of the offer; mark it as seen to if it is meant so."),
        row=gettext_lazy("check the price of the offer; seen to, if it is meant so"),
    ),
    Reason.PENDING: Cause(
        blocks=gettext_lazy(
            "The marketplace has not released it for more than two days: payment or a check is missing."
        ),
        step=gettext_lazy("Do not pack it. The marketplace releases or cancels it; ask its support if it stays."),
        row=gettext_lazy("do not pack it: payment or a check is missing"),
    ),
}
_CODES: Final = {
    Reason.STATUS: OrderException.Code.UNKNOWN_STATUS,
    Reason.TOTAL: OrderException.Code.TOTAL_MISMATCH,
    Reason.PRICE: OrderException.Code.PRICE_ZERO,
}
_AWAY: Final = (LineStatus.SHIPPED, LineStatus.DELIVERED, LineStatus.CLOSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where the next step is done: an address and its name."""

    url: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One reason of one order: what is so, what it holds up (short for a row), the next step and the ways there.

    `is_to_ship`: confirming a parcel frees it, and nothing but a right can be in the way.
    """

    label: str
    detail: str
    short: str
    blocks: str
    step: str
    ways: list[Way]
    is_to_ship: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One stuck order as the page and the file tell it. `is_odd`: it can be marked as seen to."""

    order: Any
    urgency: str
    left: timedelta | None
    whys: list[Why]
    is_odd: bool

    @property
    def urgency_label(self) -> str:
        """The urgency in words."""
        return str(Urgency(self.urgency).label)

    @property
    def is_over(self) -> bool:
        """Its ship-by date has passed while it has still to leave."""
        return self.left is not None and self.left < timedelta(0)


#: Keys of unmapped items by account and offer.
Items = Mapping[tuple[int, str], int]


def row(request: HttpRequest, order: Any, told: Told | None, *, now: datetime, items: Items | None = None) -> Row:
    """The order (marked by `Stuck.orders`, with `held` lines and `odd` at hand) in words; asks nothing.

    Without `items` a held line has no way to the item that frees it.
    """
    urgency = Urgency.values[order.rank]
    runs = order.ship_by is not None and urgency != Urgency.BOOKS and order.status != LineStatus.PENDING
    return Row(
        order=order,
        urgency=urgency,
        left=order.ship_by - now if runs else None,
        whys=list(_whys(request, order, told, urgency, items or {})),
        is_odd=bool(order.odd),
    )


def _whys(request: HttpRequest, order: Any, told: Told | None, urgency: str, items: Items) -> Iterator[Why]:
    for reason in Reason:
        if getattr(order, f"is_{reason}"):
            cause = CAUSES[reason]
            # What is held may have left already, in an order of which something else has still to leave.
            has_left = urgency == Urgency.BOOKS or all(line.status in _AWAY for line in order.held)
            yield Why(
                label=str(reason.label),
                detail=_detail(reason, order, told),
                short=str((has_left and cause.row_books) or cause.row),
                blocks=str((has_left and cause.books) or cause.blocks),
                step=str(cause.step),
                ways=_to_items(request, order, items) if reason == Reason.HELD else _ways(request, reason, order),
                is_to_ship=reason == Reason.LATE and _can_ship(order),
            )


def _detail(reason: Reason, order: Any, told: Told | None) -> str:
    if reason == Reason.HELD:
        return ", ".join(dict.fromkeys(f"{line.seller_sku or line.offer_ref} ({line.title})" for line in order.held))
    if reason == Reason.UNTOLD and told is not None:
        state = _("parcel %(number)d %(state)s") % {"number": told.number, "state": STATES[told.state][0]}
        return f"{state}: {told.message}" if told.message else state
    return next((odd.detail for odd in order.odd if odd.code == _CODES.get(reason)), "")


def _to_items(request: HttpRequest, order: Any, items: Items) -> list[Way]:
    """To the unmapped item of each offer the order waits for, which is its own account's."""
    may = request.user.has_perm
    if not may("catalog.view_unmappeditem"):
        return []
    keys = dict.fromkeys(items.get((order.account_id, line.offer_ref)) for line in order.held)
    label = _("Map the offer") if may("catalog.change_unmappeditem") else _("See the offer")
    return [Way(url=reverse("admin:catalog_unmappeditem_change", args=[pk]), label=label) for pk in keys if pk]


def _ways(request: HttpRequest, reason: Reason, order: Any) -> list[Way]:
    may = request.user.has_perm
    query = urlencode({"q": order.external_id})
    if reason == Reason.LATE and _can_ship(order) and may("orders.add_shipment"):
        return [Way(url=reverse("orders:ship", args=[order.pk]), label=_("Confirm a parcel"))]
    if reason == Reason.UNTOLD and may("orders.view_shipment"):
        return [Way(url=f"{reverse('admin:orders_shipment_changelist')}?{query}", label=_("See its parcels"))]
    if reason == Reason.UNREAD and may("marketplaces.view_quarantined"):
        url = f"{reverse('admin:marketplaces_quarantined_changelist')}?{query}"
        return [Way(url=url, label=_("See the quarantine"))]
    if reason == Reason.TOTAL and order.raw_id and may("marketplaces.view_rawdocument"):
        return [Way(url=reverse("marketplaces:raw", args=[order.raw_id]), label=_("Raw document"))]
    return []


def _can_ship(order: Any) -> bool:
    return not order.held and order.status != LineStatus.TO_ACCEPT
