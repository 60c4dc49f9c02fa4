"""Orders that still have to ship here, whose parcels we have confirmed: what their marketplace made of each parcel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from domventas.core import tenancy
from marketplaces.models import OutboxCommand
from marketplaces.selectors.trouble import Place
from orders.selectors.shipments import VERB

State = OutboxCommand.State

PARCELS: Final = """
SELECT o.id, s.id, s.number, coalesce(c.state, ''), coalesce(c.message, ''), coalesce(c.attempts, 0),
       coalesce(c.created_at, s.created_at)
FROM orders_order AS o
JOIN orders_shipment AS s ON s.client_id = %(client)s AND s.order_id = o.id
LEFT JOIN LATERAL (
    SELECT state, message, attempts, created_at FROM marketplaces_outboxcommand AS n
    WHERE n.client_id = %(client)s AND n.account_id = o.account_id AND n.verb = %(verb)s AND n.key = s.id::text
    ORDER BY n.id DESC LIMIT 1) AS c ON true
WHERE o.client_id = %(client)s AND o.fulfillment = 'seller' AND o.status IN ('to_accept', 'to_ship', 'part_shipped')
ORDER BY o.id, s.number
"""
#: Pieces of each order that are in no parcel the marketplace is told of; what it counts as shipped includes ours.
LEFT: Final = """
SELECT l.order_id, sum(greatest(0, l.quantity - coalesce(l.quantity_canceled, 0)
                                     - greatest(coalesce(l.quantity_shipped, 0), coalesce(p.pieces, 0))))
FROM orders_orderline AS l
LEFT JOIN (SELECT line_id, sum(quantity) AS pieces FROM orders_shipmentline
           WHERE client_id = %(client)s AND shipment_id = ANY(%(parcels)s) GROUP BY 1) AS p ON p.line_id = l.id
WHERE l.client_id = %(client)s AND l.order_id = ANY(%(orders)s) AND l.status IN ('to_ship', 'part_shipped')
GROUP BY 1
"""
GIVEN_UP: Final = """
SELECT a.id, a.name, a.channel, count(*), max(c.message)
FROM orders_order AS o
JOIN marketplaces_account AS a ON a.client_id = %(client)s AND a.id = o.account_id
JOIN orders_shipment AS s ON s.client_id = %(client)s AND s.order_id = o.id
CROSS JOIN LATERAL (
    SELECT state, message FROM marketplaces_outboxcommand AS n
    WHERE n.client_id = %(client)s AND n.account_id = o.account_id AND n.verb = %(verb)s AND n.key = s.id::text
    ORDER BY n.id DESC LIMIT 1) AS c
WHERE o.client_id = %(client)s AND o.fulfillment = 'seller' AND o.status IN ('to_accept', 'to_ship', 'part_shipped')
  AND a.status = 'active' AND c.state = 'given_up'
GROUP BY a.id, a.name, a.channel, a.code ORDER BY a.code
"""
#: The marketplace does not have it, and nothing on its way changes that.
_UNTOLD: Final = (State.REFUSED, State.HELD)
#: States a parcel can be stuck in, the gravest first: nothing of the first two changes by itself.
_STUCK: Final = (State.REFUSED, State.GIVEN_UP, State.UNKNOWN, State.IN_FLIGHT, State.WAITING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One parcel and its newest command. `message` is what the marketplace said; `attempts`: times it was sent."""

    shipment_id: int
    number: int
    state: str
    message: str
    attempts: int
    put_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """Parcels of one account nobody tells of any more; `message` is what was said about one of them."""

    place: Place
    count: int
    message: str


@dataclass(slots=True)
class Confirmed:
    """What we have confirmed of one order. `left`: pieces in no parcel; refused ones and those held in shadow count as
    none, as the marketplace does not know them."""

    parcels: list[Told] = field(default_factory=list)
    left: int = 0

    def stuck(self, *, before: datetime) -> Told | None:
        """The parcel that keeps the order from being shipped there, the gravest; None while all goes its way.

        Args:
            before: what was put later may still be on its way. A refused parcel counts until its pieces are in another.
        """
        found = [each for each in self.parcels if self._is_stuck(each, before)]
        return min(found, key=lambda each: (_STUCK.index(State(each.state)), each.number), default=None)

    def _is_stuck(self, parcel: Told, before: datetime) -> bool:
        if parcel.state == State.REFUSED:
            return self.left > 0
        if parcel.state in OutboxCommand.OPEN:
            return parcel.put_at < before
        return parcel.state == State.GIVEN_UP


def confirmations() -> Mapping[int, Confirmed]:
    """Every order not shipped at its marketplace yet with a parcel confirmed here, by its id; two queries at most."""
    found: dict[int, Confirmed] = defaultdict(Confirmed)
    known: dict[str, Any] = {"client": tenancy.current().one, "verb": VERB}
    with connection.cursor() as cursor:
        cursor.execute(PARCELS, known)
        for order_id, shipment_id, number, state, message, attempts, put_at in cursor.fetchall():
            told = Told(
                shipment_id=shipment_id, number=number, state=state, message=message, attempts=attempts, put_at=put_at
            )  # fmt: skip
            found[order_id].parcels.append(told)
        if found:
            counted = [x.shipment_id for each in found.values() for x in each.parcels if x.state not in _UNTOLD]
            cursor.execute(LEFT, known | {"orders": list(found), "parcels": counted})
            for order_id, left in cursor.fetchall():
                found[order_id].left = int(left)
    return dict(found)


def given_up() -> list[GivenUp]:
    """Accounts with parcels that were given up while their orders are not shipped at the marketplace; one query."""
    with connection.cursor() as cursor:
        cursor.execute(GIVEN_UP, {"client": tenancy.current().one, "verb": VERB})
        return [
            GivenUp(place=Place(account_id=pk, account=name, channel=channel, flow=VERB), count=count, message=message)
            for pk, name, channel, count, message in cursor.fetchall()
        ]
