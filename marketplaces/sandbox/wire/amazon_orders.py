"""Amazon's orders, version 2026-01-01: searching by creation or update, paging by token, one order by id."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..world.model import Order
from ..world.places import SITES, Account
from .amazon_base import bad_request, error
from .amazon_order_view import DATASETS, fulfillment_status, order_view
from .http import Request, Response, iso, json_response, parse_iso
from .paging import seal, unseal
from .state import State

_TOKEN_HOURS = 24
_OVERLAP_EVERY = 3
_DATES = ("createdAfter", "createdBefore", "lastUpdatedAfter", "lastUpdatedBefore")


def search_orders(state: State, account: Account, request: Request) -> Response:
    """searchOrders: one page; pages overlap by an order now and then, as they do in life."""
    question = _continued(state, request) if request.one("paginationToken") else _asked(state, request)
    if isinstance(question, Response):
        return question
    found = state.kept(account.code, question, lambda: _matching(state, account, question))
    first, size = int(question["first"]), int(question["size"])
    page = found[max(0, first - question["back"]) : first + size - question["back"]]
    following = first + size - question["back"]
    as_of = datetime.fromisoformat(question["as_of"])
    shown = [order_view(order, as_of, question["data"]) for order in page]
    body: dict[str, Any] = {"orders": shown, **question["cursor"]}
    if following < len(found):
        back = 1 if (following // size) % _OVERLAP_EVERY == 0 else 0
        body["pagination"] = {"nextToken": seal({**question, "first": following, "back": back})}
    return json_response(body)


def get_order(state: State, account: Account, request: Request, order_id: str) -> Response:
    """getOrder: one order as it stands."""
    order = state.order(account.code, order_id)
    if order is None:
        return error(404, "NotFound", "The requested order was not found.", order_id)
    data = request.many("includedData")
    if not set(data) <= DATASETS:
        return bad_request("includedData holds a value that is not supported.")
    return json_response({"order": order_view(order, state.clock(), data)})


def _asked(state: State, request: Request) -> dict[str, Any] | Response:
    """A new question; a Response when it is not allowed."""
    try:
        dates = {name: parse_iso(request.one(name)) for name in _DATES}
        size = int(request.one("maxResultsPerPage") or 100)
    except ValueError:
        return bad_request("A date is not in ISO 8601 format, or maxResultsPerPage is no number.")
    by_creation, by_update = dates["createdAfter"], dates["lastUpdatedAfter"]
    if (by_creation is None) == (by_update is None):
        return bad_request("Exactly one of createdAfter and lastUpdatedAfter must be provided.")
    if (by_creation and dates["lastUpdatedBefore"]) or (by_update and dates["createdBefore"]):
        return bad_request("createdAfter goes with createdBefore, lastUpdatedAfter with lastUpdatedBefore.")
    if not 1 <= size <= 100:
        return bad_request("maxResultsPerPage must be between 1 and 100.")
    field = "created" if by_creation else "lastUpdated"
    latest = state.clock() - timedelta(minutes=2)
    after, before = by_creation or by_update, dates[f"{field}Before"]
    if before and before > latest:
        return bad_request(f"{field}Before must be at least two minutes before the time of the request.")
    until = before or latest
    if after and before and before < after:
        return bad_request(f"{field}Before must not be before {field}After.")
    filters = {n: request.many(n) for n in ("fulfillmentStatuses", "marketplaceIds", "fulfilledBy")}
    if not set(request.many("includedData")) <= DATASETS:
        return bad_request("includedData holds a value that is not supported.")
    return {
        "by": field,
        "after": after.isoformat() if after else "",
        "until": until.isoformat(),
        "filters": filters,
        "data": request.many("includedData"),
        "size": size,
        "first": 0,
        "back": 0,
        "as_of": state.clock().isoformat(),
        "cursor": {f"{field}Before": iso(until)},
    }


def _continued(state: State, request: Request) -> dict[str, Any] | Response:
    question = unseal(request.one("paginationToken") or "")
    if question is None or "as_of" not in question:
        return bad_request("The paginationToken is not valid.")
    if state.clock() - datetime.fromisoformat(question["as_of"]) > timedelta(hours=_TOKEN_HOURS):
        return bad_request("The paginationToken has expired.")
    after = parse_iso(request.one("createdAfter") or request.one("lastUpdatedAfter"))
    if after and after.isoformat() != question["after"]:
        return bad_request("The parameters differ from those of the call that produced the paginationToken.")
    return question


def _matching(state: State, account: Account, question: dict[str, Any]) -> list[Order]:
    """Orders of the question, oldest purchase first: their update times come in any order."""
    after, until = datetime.fromisoformat(question["after"]), datetime.fromisoformat(question["until"])
    as_of = datetime.fromisoformat(question["as_of"])
    filters = question["filters"]
    found = []
    for order in state.world.orders[account.code]:
        if order.created_at > as_of:
            break
        moment = order.created_at if question["by"] == "created" else order.updated_at(as_of)
        if moment is None or not after <= moment <= until:
            continue
        if filters["marketplaceIds"] and SITES[order.site].external_id not in filters["marketplaceIds"]:
            continue
        if filters["fulfilledBy"] and order.fulfilled_by not in filters["fulfilledBy"]:
            continue
        if filters["fulfillmentStatuses"] and fulfillment_status(order, as_of) not in filters["fulfillmentStatuses"]:
            continue
        found.append(order)
    return found
