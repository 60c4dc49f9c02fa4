"""Mirakl shipments: the carrier first (OR23), then the order as a whole (OR24), read back from the order (OR11).

Only the second call moves the order, and it does so once: a repetition is refused, and the first may be repeated at
will. So a lost answer at any point is safe to settle by looking.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from marketplaces.commands import Outcome, Push, Sent, ShipmentCommand
from marketplaces.errors import Malformed, Refused
from marketplaces.http import strict_json
from marketplaces.protocols.mirakl.client import MiraklSession
from marketplaces.protocols.reading import body_of, maybe_text, rows, text

_OPEN = frozenset({"STAGING", "WAITING_ACCEPTANCE", "WAITING_DEBIT", "WAITING_DEBIT_PAYMENT", "SHIPPING"})
_GONE = frozenset({"REFUSED", "CANCELED"})


def send(session: MiraklSession, command: ShipmentCommand) -> Sent:
    """Tell carrier and number, then that the order has left."""
    path = f"/api/orders/{quote(command.order_ref, safe='')}"
    try:
        session.put(f"{path}/tracking", _tracking(command), operation="OR23")
        session.put(f"{path}/ship", None, operation="OR24")
    except Refused as error:
        return Sent(outcome=Outcome.REFUSED, message=_in_their_words(error))
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=command.order_ref)


def read_back(session: MiraklSession, command: ShipmentCommand) -> Sent | None:
    """Look whether the order has left with our number; None while it has not left at all."""
    answer = session.get("/api/orders", {"order_ids": command.order_ref}, operation="OR11")
    found = rows(body_of(answer).get("orders"), "orders")
    order = next((each for each in found if text(each, "order_id") == command.order_ref), None)
    if order is None:
        return Sent(outcome=Outcome.REFUSED, message="The marketplace does not know this order.")
    ours = {line.line_ref for line in command.lines}
    lines = rows(order.get("order_lines"), "order_lines")
    states = {text(line, "order_line_state") for line in lines if text(line, "order_line_id") in ours}
    if states & _OPEN:
        return None
    if states <= _GONE:
        return Sent(outcome=Outcome.REFUSED, message="The order is canceled there.")
    number = maybe_text(order, "shipping_tracking") or ""
    if command.tracking_number and number != command.tracking_number:
        return Sent(outcome=Outcome.REFUSED, message=f"The order was shipped there with number {number or 'none'}.")
    return Sent(outcome=Outcome.ACCEPTED, provider_ref=command.order_ref)


def _tracking(command: ShipmentCommand) -> dict[str, Any]:
    """A registered carrier by its code; any other by its name and the parcel's page."""
    if command.carrier:
        return {"carrier_code": command.carrier, "tracking_number": command.tracking_number}
    told = {"carrier_name": command.carrier_name, "tracking_number": command.tracking_number}
    return told | ({"carrier_url": command.tracking_url} if command.tracking_url else {})


def _in_their_words(error: Refused) -> str:
    try:
        body = strict_json(error.excerpt.encode())
    except Malformed:
        body = None
    words = str(body.get("message") or "") if isinstance(body, dict) else ""
    return words or f"{error.message} {error.excerpt}".strip()


SHIPMENTS = Push(
    send=send,
    read_back=read_back,
    idempotent=True,
    partial=False,
    needs=frozenset({"tracking_number"}),
)
