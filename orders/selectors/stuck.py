"""Orders that do not move by themselves: why, how urgent, and how many of each. The unit is the order, everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    BooleanField,
    Case,
    Count,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    SmallIntegerField,
    Subquery,
    Sum,
    TextChoices,
    Value,
    When,
)
from django.db.models.functions import Coalesce
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from domventas.core.tenancy import current
from marketplaces.models import Quarantined
from marketplaces.records import FulfillmentOwner, LineStatus
from orders.models import Order, OrderException, OrderLine
from orders.selectors.confirmations import Told, confirmations

#: A parcel on its way to be told for so long is stuck.
PATIENCE: Final = timedelta(minutes=30)
#: Marketplaces hold new orders back for a while (payment, checks); for longer than this somebody should know.
USUAL_CHECKS: Final = timedelta(days=2)
#: What has to leave so soon comes before the rest.
SOON: Final = timedelta(hours=24)

_TO_LEAVE: Final = (LineStatus.TO_ACCEPT, LineStatus.TO_SHIP, LineStatus.PART_SHIPPED)
NOT_GONE: Final = (*_TO_LEAVE, LineStatus.PENDING, LineStatus.UNKNOWN)
_VOID: Final = (LineStatus.CANCELED, LineStatus.REFUSED)


class Reason(TextChoices):
    """Why an order does not move; one order may have several."""

    HELD = "held", _("unknown offer")
    LATE = "late", _("past its ship-by date")
    ACCEPT = "accept", _("to be accepted")
    UNTOLD = "untold", _("marketplace has not taken the parcel")
    STATUS = "status", _("unknown status")
    UNREAD = "unread", _("newer state could not be read")
    TOTAL = "total", _("total differs from its lines")
    PRICE = "price", _("price is zero")
    PENDING = "pending", _("not released by the marketplace")


class Urgency(TextChoices):
    """What the clock says of an order, the most urgent first."""

    LATE = "late", _("past its ship-by date")
    SOON = "soon", _("to ship within 24 hours")
    AHEAD = "ahead", _("to ship, with more time")
    BOOKS = "books", _("nothing to ship: only the books wait")


_ODD: Final = {
    Reason.STATUS: OrderException.Code.UNKNOWN_STATUS,
    Reason.TOTAL: OrderException.Code.TOTAL_MISMATCH,
    Reason.PRICE: OrderException.Code.PRICE_ZERO,
}
_BY_URGENCY: Final = ("rank", F("ship_by").asc(nulls_last=True), "ordered_at", "pk")
#: How a list may be sorted; amounts of different currencies are never compared.
SORTS: Final[Mapping[str, tuple[Any, ...]]] = {
    "urgency": _BY_URGENCY,
    "ship_by": (F("ship_by").asc(nulls_last=True), "pk"),
    "oldest": ("ordered_at", "pk"),
    "newest": ("-ordered_at", "-pk"),
    "value": ("currency", F("value").desc(nulls_last=True), "pk"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which stuck orders: all of them where nothing is said. `offer`: held for this offer, by its id or seller SKU."""

    reason: str = ""
    urgency: str = ""
    account: str = ""
    site: str = ""
    offer: str = ""


@dataclass(slots=True)
class Tally:
    """So many stuck orders, by urgency, and what they are worth. `lines`: lines that are held, for that reason only.

    `sums`: total by currency, as the marketplace states it, else of its lines; `unvalued` orders have neither.
    """

    orders: int = 0
    lines: int = 0
    unvalued: int = 0
    by_urgency: Counter[str] = field(default_factory=Counter)
    sums: dict[str, Decimal] = field(default_factory=dict)

    @property
    def to_leave(self) -> int:
        """Orders of which something has still to leave."""
        return self.orders - self.by_urgency[Urgency.BOOKS]

    def add(self, orders: int, urgency: str, currency: str, value: Decimal | None, unvalued: int) -> None:
        """Count some more."""
        self.orders += orders
        self.by_urgency[urgency] += orders
        self.unvalued += unvalued
        if value is not None:
            self.sums[currency] = self.sums.get(currency, Decimal(0)) + value


@dataclass(slots=True)
class Tallies:
    """Every stuck order once, and by reason; an order with two reasons counts under both."""

    every: Tally = field(default_factory=Tally)
    by_reason: dict[str, Tally] = field(default_factory=lambda: {reason.value: Tally() for reason in Reason})


def held_lines() -> QuerySet[OrderLine]:
    """Lines that wait for their offer to be mapped; canceled ones hold nothing up."""
    return OrderLine.objects.exclude(hold="").exclude(status__in=_VOID)


def rank(now: datetime, of: str = "") -> Case:
    """The place of an order's urgency in `Urgency`; `of` is the way to the order, like "order__"."""
    ours = ~Q(**{f"{of}fulfillment": FulfillmentOwner.MARKETPLACE})
    leaves = ours & Q(**{f"{of}status__in": _TO_LEAVE})
    conditions = (
        leaves & Q(**{f"{of}ship_by__lt": now}),
        leaves & Q(**{f"{of}ship_by__lt": now + SOON}),
        ours & Q(**{f"{of}status__in": NOT_GONE}),
    )
    whens = [When(condition, then=Value(place)) for place, condition in enumerate(conditions)]
    return Case(*whens, default=Value(len(conditions)), output_field=SmallIntegerField())


class Stuck:
    """What is stuck at one moment; what the marketplaces made of our parcels is asked once."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    @cached_property
    def untold(self) -> dict[int, Told]:
        """By order: the parcel we have confirmed that its marketplace has not taken; two queries at most."""
        before = self.now - PATIENCE
        found = {pk: confirmed.stuck(before=before) for pk, confirmed in confirmations().items()}
        return {pk: parcel for pk, parcel in found.items() if parcel is not None}

    def orders(self, wanted: Wanted | None = None) -> QuerySet[Any]:
        """Stuck orders, each once, with `is_<reason>`, `rank` (place in `Urgency`) and `value` [its currency]."""
        wanted = wanted or Wanted()
        reasons = [wanted.reason] if wanted.reason else list(Reason)
        found = [Order.objects.filter(self._of(reason)).order_by().values("pk") for reason in reasons]
        rows: QuerySet[Any] = Order.objects.filter(pk__in=found[0].union(*found[1:]) if len(found) > 1 else found[0])
        rows = self._marked(rows)
        if wanted.urgency:
            rows = rows.filter(rank=Urgency.values.index(wanted.urgency))
        if wanted.account:
            rows = rows.filter(account__code=wanted.account)
        if wanted.site:
            rows = rows.filter(site__code=wanted.site)
        if wanted.offer:
            named = held_lines().filter(Q(offer_ref=wanted.offer) | Q(seller_sku=wanted.offer))
            rows = rows.filter(pk__in=named.values("order"))
        return rows

    def tallies(self, wanted: Wanted | None = None) -> Tallies:
        """How many there are, in all and by reason, whichever reason is wanted. Two queries, and those of `untold`."""
        wanted = replace(wanted or Wanted(), reason="")
        found = Tallies()
        flags = [f"is_{reason}" for reason in Reason]
        groups = self.orders(wanted).order_by().values("rank", "currency", *flags)
        for row in groups.annotate(count=Count("pk"), worth=Sum("value"), valued=Count("value")):
            urgency = Urgency.values[row["rank"]]
            of = [found.every, *(found.by_reason[reason] for reason in Reason if row[f"is_{reason}"])]
            for tally in of:
                tally.add(row["count"], urgency, row["currency"], row["worth"], row["count"] - row["valued"])
        held = self.orders(replace(wanted, reason=Reason.HELD)).order_by().values("pk")
        found.by_reason[Reason.HELD].lines = held_lines().filter(order__in=held).count()
        return found

    def narrowed(self, orders: QuerySet[Order], reason: str | None) -> QuerySet[Order]:
        """Those of the orders that are stuck for the reason; all of them for a reason nobody knows."""
        return orders.filter(self._of(reason)) if reason in Reason.values else orders

    def _marked(self, rows: QuerySet[Order]) -> QuerySet[Any]:
        flags: dict[str, Any] = {
            f"is_{reason}": ExpressionWrapper(self._of(reason), output_field=BooleanField()) for reason in Reason
        }
        return rows.annotate(rank=rank(self.now), value=Coalesce("stated_total", "computed_total"), **flags)

    def _of(self, reason: str) -> Q:
        """What orders of this reason have in common."""
        if reason == Reason.HELD:
            return Q(pk__in=held_lines().values("order"))
        if reason == Reason.LATE:
            return Q(status__in=_TO_LEAVE, ship_by__lt=self.now) & ~Q(fulfillment=FulfillmentOwner.MARKETPLACE)
        if reason == Reason.ACCEPT:
            return Q(status=LineStatus.TO_ACCEPT)
        if reason == Reason.UNTOLD:
            return Q(pk__in=list(self.untold))
        if reason == Reason.PENDING:
            return Q(status=LineStatus.PENDING, ordered_at__lt=self.now - USUAL_CHECKS)
        if reason == Reason.UNREAD:
            return Q(pk__in=_unread().exclude(order=None).values("order"))
        return Q(pk__in=OrderException.objects.filter(resolved_at=None, code=_ODD[Reason(reason)]).values("order"))


def unread_elsewhere() -> int:
    """Records of orders in quarantine of which no order is stored: they are in no figure of this page.

    0 for members limited to brands: whose they are nobody knows.
    """
    return 0 if current().brands else _unread().filter(order=None).count()


def _unread() -> QuerySet[Any]:
    """Records of orders that could not be read, each with the `order` it tells of, None where none is stored."""
    same = Order.objects.filter(account=OuterRef("account"), external_id=OuterRef("external_id"))
    waiting = Quarantined.objects.filter(flow="orders", resolved_at=None)
    return waiting.annotate(order=Subquery(same.values("pk")[:1]))
