"""What we tell a marketplace to do, as values: commands go out as records come in, in everybody's words and nobody's.

A connector takes one command and says what became of it. It never decides whether to send, waits or asks again: that
is the outbox's work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a marketplace answered a command."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A marketplace's answer to one command.

    Attributes:
        provider_ref: the marketplace's own id of what was made; empty when it gives none.
        message: why it was refused, in the marketplace's words; what is worth knowing when it was accepted.
    """

    outcome: Outcome
    provider_ref: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedLine:
    """So many pieces of one order line.

    Attributes:
        line_ref: the marketplace's id of the line, as its `OrderLineRecord` brought it (Otto: the position item).
    """

    line_ref: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipFrom:
    """Where parcels start. `country` is the two-letter code (ISO 3166-1 alpha-2)."""

    city: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentCommand:
    """Tell the marketplace that this parcel has left.

    Attributes:
        ref: our own number of the shipment, digits only; one shipment keeps it through all attempts.
        site: code of the site the order was placed at.
        order_ref: the marketplace's id of the order, as its `OrderRecord` brought it.
        carrier: the marketplace's code of the carrier, from the connector's `carriers.csv`.
        carrier_name: what people call the carrier. tracking_url: page of this parcel; empty when there is none.
        return_carrier, return_tracking: of the return label in the parcel; empty when there is none.
    """

    ref: str
    site: str
    order_ref: str
    lines: tuple[ShippedLine, ...]
    carrier: str
    carrier_name: str
    tracking_number: str
    shipped_at: datetime
    tracking_url: str = ""
    return_carrier: str = ""
    return_tracking: str = ""
    ship_from: ShipFrom | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One kind of command a marketplace takes.

    send(session, command) → Sent. Raises `Later` only when nothing was done, `Unauthorized`, and `Refused` when
        the request itself was turned down (the same as a Sent that is refused); any other `BorderError` means that
        the outcome is unknown.
    read_back(session, command) → what the marketplace has of it, or None: it does not have it. Only reads.

    Attributes:
        idempotent: sending the same command (the same `ref`) again changes nothing that was done already.
        settles: for so long an accepted command may still be missing from what `read_back` reads.
        partial: part of an order can be told by itself; else one command holds every open piece of the order.
        needs: what the marketplace insists on beyond order, lines and carrier: names of `ShipmentCommand` fields.
        cadence: cron expression [UTC] of the look after what is left to send.
        promise: so long after it was put a command should be settled at the latest; later is trouble.
    """

    send: Callable[[Any, Any], Sent]
    read_back: Callable[[Any, Any], Sent | None]
    idempotent: bool
    settles: timedelta = timedelta(minutes=10)
    partial: bool = True
    needs: frozenset[str] = field(default_factory=frozenset)
    cadence: str = "*/5 * * * *"
    promise: timedelta = timedelta(minutes=30)


def packed(command: ShipmentCommand) -> dict[str, Any]:
    """A command as plain JSON values."""
    return asdict(command) | {"shipped_at": command.shipped_at.astimezone(UTC).isoformat()}


def shipment(stored: Mapping[str, Any]) -> ShipmentCommand:
    """The command that was packed."""
    values = dict(stored)
    values["lines"] = tuple(ShippedLine(**line) for line in values["lines"])
    values["shipped_at"] = datetime.fromisoformat(values["shipped_at"])
    values["ship_from"] = ShipFrom(**values["ship_from"]) if values["ship_from"] else None
    return ShipmentCommand(**values)


COMMAND_OF_PUSH: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {"shipments": shipment}
"""Push → how its command is read back from what was packed."""
