"""`/__sandbox/events`: the queues as they stand, notifications told again, and webhooks sent in good and bad ways."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from ..world.places import ACCOUNTS
from . import webhooks
from .http import Request, Response, Route, iso, json_response, route
from .notifications import Publisher
from .sqs_api import sqs_routes
from .state import State

_HELP = (
    'send {"notify": {"account": "amazon-eu", "refs": ["…"], "times": 1, "shuffle": 0}},'
    ' {"queue": {"name": "domventas", "duplicate": 0.3, "shuffle": true, "expire": true}}'
    ' {"subscription": {"account": "amazon-eu", "kind": "ORDER_CHANGE", "action": "remove"}}, or "deny", "allow"'
    ' or {"webhook": {"url": "http://127.0.0.1:8000/in/…", "secret": "…", "refs": ["…"], "way": "signed"}}'
)


def event_routes(state: State) -> list[Route]:
    """The queues' own interface and the control over it."""
    publisher = Publisher(state)

    def look(_: Request) -> Response:
        publisher.publish()
        return json_response(
            {
                "queues": {name: _view(state, name) for name in sorted(state.queues)},
                "subscriptions": [
                    {"account": account, "kind": kind, "queue": one.destination.queue, "since": iso(one.since)}
                    for (account, kind), one in sorted(state.subscriptions.items())
                ],
            }
        )

    def act(request: Request) -> Response:
        try:
            asked = json.loads(request.body)
            if "notify" in asked:
                return json_response(_notify(publisher, asked["notify"]))
            if "queue" in asked:
                return json_response(_steer(state, asked["queue"]))
            if "subscription" in asked:
                return json_response(_rights(state, asked["subscription"]))
            return json_response(_send(state, asked["webhook"]))
        except (ValueError, KeyError, TypeError):
            return json_response({"message": _HELP}, 400)

    return [
        *sqs_routes(state, publisher.publish),
        route("GET", "/__sandbox/events", look),
        route("POST", "/__sandbox/events", act),
    ]


def _view(state: State, name: str) -> dict[str, Any]:
    queue = state.queues[name]
    visible, in_flight = queue.counts()
    return {"visible": visible, "in_flight": in_flight, "deleted": queue.deleted, "duplicate": queue.duplicate}


def _notify(publisher: Publisher, asked: dict[str, Any]) -> dict[str, Any]:
    """Tell changes of orders again, several times, in any order; with `seller` as if they were somebody else's."""
    publisher.publish()
    found = publisher.again(ACCOUNTS[asked["account"]], asked["refs"]) * int(asked.get("times", 1))
    if "shuffle" in asked:
        Random(int(asked["shuffle"])).shuffle(found)
    for notification in found:
        if "seller" in asked:
            notification["Payload"]["OrderChangeNotification"]["SellerId"] = str(asked["seller"])
        publisher.send(notification)
    return {"sent": len(found)}


def _steer(state: State, asked: dict[str, Any]) -> dict[str, Any]:
    queue = state.queues[asked["name"]]
    queue.duplicate = float(asked.get("duplicate", queue.duplicate))
    queue.shuffle = bool(asked.get("shuffle", queue.shuffle))
    if "seed" in asked:
        queue.random = Random(int(asked["seed"]))
    expired = queue.expire() if asked.get("expire") else 0
    return {"expired": expired, **_view(state, queue.name)}


def _rights(state: State, asked: dict[str, Any]) -> dict[str, Any]:
    """Take a subscription away as somebody in Seller Central might, or the right to it."""
    key = (ACCOUNTS[asked["account"]].code, str(asked["kind"]))
    match asked["action"]:
        case "remove":
            return {"removed": state.subscriptions.pop(key, None) is not None}
        case "deny":
            state.denied.add(key)
        case "allow":
            state.denied.discard(key)
        case action:
            raise ValueError(action)
    return {"denied": key in state.denied}


def _send(state: State, asked: dict[str, Any]) -> dict[str, Any]:
    way = asked.get("way", "signed")
    if way not in webhooks.WAYS or not webhooks.is_here(asked["url"]):
        raise ValueError(way)
    statuses = []
    for hint in webhooks.hints(state, asked["refs"]):
        statuses += webhooks.deliver(asked["url"], asked["secret"], hint, way)
    return {"statuses": statuses}
