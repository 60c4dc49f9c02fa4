"""Every path of the sandbox and who answers it."""

from __future__ import annotations

from .wire import amazon_base, mirakl_base
from .wire.amazon_orders import get_order, search_orders
from .wire.control import control_routes
from .wire.http import Request, Response, Route, route
from .wire.mirakl_orders import list_orders
from .wire.state import State


def all_routes(state: State) -> list[Route]:
    """The control plane, both Amazon regions and Bunnings."""

    def token(request: Request) -> Response:
        return amazon_base.sign_in(state, request)

    routes = [*control_routes(state), route("POST", "/amazon/auth/o2/token", token)]
    for region in ("eu", "na"):
        routes += _amazon(state, region)
    return routes + _bunnings(state)


def _amazon(state: State, region: str) -> list[Route]:
    base = f"/amazon/{region}"
    table = [
        ("GET", "/orders/2026-01-01/orders", "searchOrders", search_orders),
        ("GET", "/orders/2026-01-01/orders/{order_id}", "getOrder", get_order),
    ]
    return [
        route(method, base + path, amazon_base.guarded(state, region, operation, answer))
        for method, path, operation, answer in table
    ]


def _bunnings(state: State) -> list[Route]:
    table = [("/api/orders", "OR11", list_orders)]
    return [
        route("GET", f"/bunnings{path}", mirakl_base.guarded(state, operation, answer)) for path, operation, answer in table
    ]
