"""Amazon shipments: one package of an order told by confirmShipment (orders v0), read back from the order itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from marketplaces.commands import Outcome, Push, Sent, ShipmentCommand
from marketplaces.connectors.amazon.client import AmazonSession, in_their_words
from marketplaces.connectors.amazon.sites import BY_CODE
from marketplaces.errors import Refused
from marketplaces.protocols.reading import Row, body_of, count, iso, maybe_text, part, rows, text


def send(session: AmazonSession, command: ShipmentCommand) -> Sent:
    """Tell one package. Its reference is our shipment's number: the same number again edits the package."""
    path = f"/orders/v0/orders/{quote(command.order_ref, safe='')}/shipmentConfirmation"
    try:
        session.call("POST", path, operation="shipments.confirm", json=_body(command))
    except Refused as error:
        return Sent(outcome=Outcome.REFUSED, message=in_their_words(error))
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=command.ref)


def read_back(session: AmazonSession, command: ShipmentCommand) -> Sent | None:
    """Look for our package among those of the order; None when it is not there."""
    path = f"/orders/2026-01-01/orders/{quote(command.order_ref, safe='')}"
    answer = session.call("GET", path, operation="orders.get", params={"includedData": "FULFILLMENT,PACKAGES"})
    packages = rows(part(body_of(answer), "order").get("packages"), "order.packages")
    ours = next((each for each in packages if _is_ours(each, command)), None)
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=text(ours, "packageReferenceId")) if ours else None


def _body(command: ShipmentCommand) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "packageReferenceId": command.ref,
        "carrierCode": command.carrier,
        "trackingNumber": command.tracking_number,
        "shipDate": iso(command.shipped_at),
        "orderItems": [{"orderItemId": line.line_ref, "quantity": line.quantity} for line in command.lines],
    }
    if command.carrier == "Other":
        detail["carrierName"] = command.carrier_name
    return {"marketplaceId": BY_CODE[command.site].external_id, "packageDetail": detail}


def _is_ours(package: Row, command: ShipmentCommand) -> bool:
    """The same reference, or the same parcel with the same pieces should Amazon number it otherwise."""
    if maybe_text(package, "packageReferenceId") == command.ref:
        return True
    held = {text(item, "orderItemId"): count(item, "quantity") for item in rows(package.get("packageItems"), "items")}
    told = {line.line_ref: line.quantity for line in command.lines}
    return maybe_text(package, "trackingNumber") == command.tracking_number and held == told


SHIPMENTS = Push(
    send=send,
    read_back=read_back,
    idempotent=True,
    needs=frozenset({"tracking_number"}),
)
