"""Otto's shipments (v1): tell that a parcel has left with its pieces and return label, and read it back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from marketplaces.commands import Outcome, Push, Sent, ShipmentCommand
from marketplaces.connectors.otto.client import OttoSession, in_their_words
from marketplaces.errors import Malformed, Refused
from marketplaces.protocols import reading
from marketplaces.protocols.countries import EUROPE
from marketplaces.protocols.reading import body_of, part, rows, text

_NOT_FOUND = 404


def send(session: OttoSession, command: ShipmentCommand) -> Sent:
    """One parcel with all its pieces. Otto refuses a carrier and number it has had before, so nothing is told twice.

    Raises: BorderError: the outcome is unknown, but for `Throttled` and `Refused`.
    """
    try:
        body = _body(command)
    except Malformed as error:
        return Sent(outcome=Outcome.REFUSED, message=error.message)
    try:
        answer = session.call("POST", "/v1/shipments", operation="shipments.create", json=body)
    except Refused as error:
        return Sent(outcome=Outcome.REFUSED, message=in_their_words(error))
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=text(body_of(answer), "shipmentId"))


def read_back(session: OttoSession, command: ShipmentCommand) -> Sent | None:
    """The parcel by its carrier and number, if it holds just the pieces of the command.

    A parcel of that number with other pieces is somebody else's doing: None, as ours is not there.
    """
    ours = (command.carrier, command.tracking_number)
    carrier, number = (quote(each, safe="") for each in ours)
    path = f"/v1/shipments/carriers/{carrier}/trackingnumbers/{number}"
    try:
        found = body_of(session.call("GET", path, operation="shipments.get"))
    except Refused as error:
        if error.status == _NOT_FOUND:
            return None
        raise
    key = part(found, "trackingKey")
    items = rows(found.get("positionItems"), "positionItems")
    held = {(text(item, "salesOrderId"), text(item, "positionItemId")) for item in items}
    told = {(command.order_ref, line.line_ref) for line in command.lines}
    if (key.get("carrier"), key.get("trackingNumber")) != ours or held != told:
        return None
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=text(found, "shipmentId"))


def _body(command: ShipmentCommand) -> dict[str, Any]:
    """What Otto wants. Raises: Malformed: something it insists on is missing, in words."""
    start = command.ship_from
    if start is None:
        raise Malformed("Otto wants to know where the parcel starts.")
    if not command.return_carrier or not command.return_tracking:
        raise Malformed("Otto wants a return label in every parcel: its carrier and number are missing.")
    if start.country not in EUROPE:
        raise Malformed(f"Parcels to Otto's buyers start in Europe; {start.country} is no country we know there.")
    odd = next((line for line in command.lines if line.quantity != 1), None)
    if odd is not None:
        raise Malformed(f"A position of Otto's is one piece, not {odd.quantity}: {odd.line_ref}.")
    label = {"carrier": command.return_carrier, "trackingNumber": command.return_tracking}
    return {
        "trackingKey": {"carrier": command.carrier, "trackingNumber": command.tracking_number},
        "shipDate": reading.iso(command.shipped_at),
        "shipFromAddress": {
            "city": start.city, "zipCode": start.postal_code, "countryCode": EUROPE[start.country],
        },
        "positionItems": [
            {"positionItemId": line.line_ref, "salesOrderId": command.order_ref, "returnTrackingKey": label}
            for line in command.lines
        ],
    }  # fmt: skip


SHIPMENTS = Push(
    send=send,
    read_back=read_back,
    # The same carrier and number again is a conflict (DUPLICATE_TRACKING_KEY) and changes nothing.
    idempotent=True,
    needs=frozenset({"tracking_number", "ship_from", "return_carrier", "return_tracking"}),
)
