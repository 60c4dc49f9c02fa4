"""What sellers told about parcels: it changes the world's orders, and every effective telling is counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..world.model import Order, Package
from .http import Request, Response, Route, iso, json_response, route
from .state import State

_ON_THE_WAY = timedelta(days=2)


def apply(state: State, account: str, order: Order, package: Package) -> None:
    """Put a package on its way, or change one that is told already; the caller holds the lock and has checked it.

    An order that a seller ships himself leaves the life the world had planned for it.
    """
    before = next((each for each in order.packages if each.ref == package.ref), None)
    if before is not None:
        order.packages[order.packages.index(before)] = package
    else:
        order.packages.append(package)
    if before is None or before.items != package.items:
        state.told.append((account, order.ref, package.ref, dict(package.items)))
    now = state.clock()
    for line in order.lines:
        line.sent = sum(each.items.get(line.ref, 0) for each in order.packages)
        if line.ref in package.items:
            _leave(line, package.shipped_at if line.sent >= line.quantity else None)
    order.changes = tuple(sorted({*order.changes, now}))
    state.forget_answers()


def _leave(line: Any, shipped_at: datetime | None) -> None:
    line.shipped_at = shipped_at
    if shipped_at is None:
        line.delivered_at = None
    elif line.delivered_at is None or line.delivered_at <= shipped_at:
        line.delivered_at = shipped_at + _ON_THE_WAY


def shipment_routes(state: State) -> list[Route]:
    """The truth about shipments, for tests and scores."""

    def shipments(_: Request) -> Response:
        return json_response(shipments_told(state))

    return [route("GET", "/__sandbox/shipments", shipments)]


def shipments_told(state: State) -> list[dict[str, Any]]:
    """Per order line that somebody told of: pieces ordered, pieces confirmed, and how many tellings took effect."""
    tellings: dict[tuple[str, str], list[Mapping[str, int]]] = defaultdict(list)
    with state.lock:
        for account, order_ref, _ref, items in state.told:
            tellings[account, order_ref].append(items)
        return [
            {
                "account": account,
                "order": order_ref,
                "line": line.ref,
                "ordered": line.quantity,
                "confirmed": line.sent,
                "confirmations": sum(1 for items in told if items.get(line.ref)),
                "shipped_at": iso(line.shipped_at) if line.shipped_at else None,
            }
            for (account, order_ref), told in tellings.items()
            if (order := state.order(account, order_ref)) is not None
            for line in order.lines
            if any(items.get(line.ref) for items in told)
        ]
