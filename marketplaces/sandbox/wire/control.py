"""The sandbox's own control plane: the truth, the world in short, the clock and the speed of the limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..world.build import summary
from ..world.model import Product, World
from ..world.places import ACCOUNTS
from .http import Request, Response, Route, cents_text, iso, json_response, parse_iso, route
from .otto_statement import file_name, issued, statement_file
from .state import State

#: Accounts whose statements come as files only.
_FILES = frozenset(code for code, account in ACCOUNTS.items() if account.marketplace == "otto")


def truth_lines(world: World, until: str) -> bytes:
    """The truth that can be seen up to a moment (ISO, UTC), one JSON object a line."""
    rows = [row for row in world.truth if row["visible_from"] <= until]
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def control_routes(state: State) -> list[Route]:
    """Everything under /__sandbox."""

    def truth(_: Request) -> Response:
        body = truth_lines(state.world, iso(state.clock()))
        return Response(headers={"Content-Type": "application/x-ndjson; charset=UTF-8"}, body=body)

    def world(_: Request) -> Response:
        return json_response(world_view(state))

    def clock(request: Request) -> Response:
        moment = _field(request, "now", lambda value: parse_iso(str(value)))
        if moment is None:
            return json_response({"message": 'send {"now": "2026-11-21T00:00:00Z"}'}, 400)
        state.clock.set(moment, is_running=_field(request, "running", bool))
        return json_response({"now": iso(state.clock()), "running": state.clock.is_running})

    def limits(request: Request) -> Response:
        speed = _field(request, "speed", float)
        if speed is None or speed <= 0:
            return json_response({"message": 'send {"speed": 1000}, a positive number'}, 400)
        state.buckets.speed = speed
        return json_response({"speed": speed})

    return [
        *_statement_routes(state),
        route("GET", "/__sandbox/truth", truth),
        route("GET", "/__sandbox/world", world),
        route("POST", "/__sandbox/clock", clock),
        route("POST", "/__sandbox/limits", limits),
        *_access_routes(state),
    ]


def _access_routes(state: State) -> list[Route]:
    """What was asked and what was refused; tokens and consents taken away."""

    def calls(_: Request) -> Response:
        return json_response(state.buckets.view())

    def count_anew(_: Request) -> Response:
        state.buckets.count_anew()
        return json_response(state.buckets.view())

    def tokens(request: Request) -> Response:
        account, action = _field(request, "account", str), _field(request, "action", str)
        if account not in ACCOUNTS or action not in ("expire", "revoke", "restore"):
            told = 'send {"account": "amazon-eu", "action": "expire"}, or "revoke", "restore"'
            return json_response({"message": told}, 400)
        if action == "restore":
            state.revoked.discard(account)
        elif action == "revoke":
            state.revoked.add(account)
        expired = 0 if action == "restore" else state.expire_tokens(account)
        return json_response({"account": account, "expired": expired, "revoked": account in state.revoked})

    return [
        route("GET", "/__sandbox/calls", calls),
        route("POST", "/__sandbox/calls", count_anew),
        route("POST", "/__sandbox/tokens", tokens),
    ]


def _statement_routes(state: State) -> list[Route]:
    """Statements that come as files: which are out by now, and one of them."""

    def statements(_: Request, account: str) -> Response:
        if account not in _FILES:
            return json_response({"message": "this account's statements do not come as files"}, 404)
        return json_response([file_name(s) for s in issued(state.world, account, iso(state.clock()))])

    def statement(_: Request, account: str, name: str) -> Response:
        known = issued(state.world, account, iso(state.clock())) if account in _FILES else []
        found = next((s for s in known if file_name(s) == name), None)
        if found is None:
            return json_response({"message": "there is no such file yet"}, 404)
        return Response(headers={"Content-Type": "text/csv; charset=UTF-8"}, body=statement_file(found))

    return [
        route("GET", "/__sandbox/statements/{account}", statements),
        route("GET", "/__sandbox/statements/{account}/{name}", statement),
    ]


def _field(request: Request, name: str, read: Callable[[Any], Any]) -> Any:
    """A field of the JSON body; None when it is missing or unreadable."""
    try:
        return read(json.loads(request.body)[name])
    except (ValueError, KeyError, TypeError):
        return None


def world_view(state: State) -> dict[str, Any]:
    """The world in short: scale, accounts, counts and the product master."""
    world = state.world
    return {
        "seed": world.seed,
        "now": iso(world.now),
        "clock": iso(state.clock()),
        "clock_is_running": state.clock.is_running,
        "days": world.days,
        "skus": world.skus,
        "orders": world.order_count,
        "faults": world.faults,
        "speed": state.buckets.speed,
        "accounts": {
            a.code: {
                "marketplace": a.marketplace,
                "account_ref": a.external_id,
                "currency": a.currency,
                "sites": [site for site, _ in a.sites],
            }
            for a in ACCOUNTS.values()
        },
        "counts": summary(world),
        "products": [_product(p) for p in world.products if p.mapped],
    }


def _product(product: Product) -> dict[str, Any]:
    """A row of the product master; costs are per unit, before freight."""
    return {
        "sku": product.sku,
        "ean": product.ean,
        "asin": product.asin,
        "brand": product.brand,
        "title": product.title,
        "categories": dict.fromkeys(product.prices, product.category),
        "weight_g": product.weight_g,
        "cost": cents_text(product.cost_cents),
        "cost_currency": product.cost_currency,
        "warehouse": product.warehouse,
        "prices": {site: cents_text(cents) for site, cents in product.prices.items()},
    }
