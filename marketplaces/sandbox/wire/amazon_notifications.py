"""Amazon's Notifications API v1: where notifications may be sent (per application), and who has asked for which."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..world.places import Account
from .amazon_base import bad_request, error
from .http import Request, Response, json_response
from .sqs_api import OWNER
from .state import State

#: Notification type → versions of its payload. Those whose event filter the description knows: below.
VERSIONS: Final = {
    "ORDER_CHANGE": ("1.0",),
    "ANY_OFFER_CHANGED": ("1.0",),
    "FBA_INVENTORY_AVAILABILITY_CHANGES": ("1.0",),
    "REPORT_PROCESSING_FINISHED": ("2020-09-04",),
    "FEED_PROCESSING_FINISHED": ("2020-09-04",),
}
_FILTERED: Final = ("ANY_OFFER_CHANGED", "ORDER_CHANGE")
_ORDER_CHANGES: Final = ("BuyerRequestedChange", "DeliveryTipChange", "OrderStatusChange")
_ARN: Final = re.compile(r"arn:aws:sqs:\S+:(\S+):(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A queue that an application has named in one region."""

    ref: str
    region: str
    name: str
    arn: str

    @property
    def queue(self) -> str:
        """The queue's own name."""
        return self.arn.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What one seller has asked for; only what changes after `since` is told."""

    ref: str
    version: str
    destination: Destination
    since: datetime
    directive: dict[str, Any] | None = None


def list_destinations(state: State, region: str, request: Request) -> Response:
    """getDestinations: all of the application in the region."""
    found = [_destination(one) for one in state.destinations.values() if one.region == region]
    return json_response({"payload": found})


def create_destination(state: State, region: str, request: Request) -> Response:
    """createDestination: a queue that is there, once."""
    asked = _object(request)
    arn = _inside(asked, "resourceSpecification", "sqs", "arn")
    name = asked.get("name")
    if not isinstance(name, str) or not name or not isinstance(arn, str):
        return bad_request("name and resourceSpecification.sqs.arn are required.")
    match = _ARN.fullmatch(arn)
    if match is None or match[1] != OWNER or match[2] not in state.queues:
        return bad_request(f"{arn} does not exist, or lets Amazon send nothing.")
    with state.lock:
        mine = [one for one in state.destinations.values() if one.region == region]
        if any(arn == one.arn or name == one.name for one in mine):
            return error(409, "Conflict", "A destination with this name or resource exists already.")
        made = Destination(ref=str(uuid.uuid4()), region=region, name=name, arn=arn)
        state.destinations[made.ref] = made
    return json_response({"payload": _destination(made)})


def get_subscription(state: State, account: Account, request: Request, kind: str) -> Response:
    """getSubscription: the seller's own for one type of notification."""
    if kind not in VERSIONS:
        return bad_request(f"{kind} is no type of notification.")
    if (account.code, kind) in state.denied:
        return _denied()
    found = state.subscriptions.get((account.code, kind))
    version = request.one("payloadVersion")
    if found is None or version not in (None, found.version):
        return error(404, "NotFound", f"There is no subscription to {kind}.")
    return json_response({"payload": _subscription(found)})


def create_subscription(state: State, account: Account, request: Request, kind: str) -> Response:
    """createSubscription: one for each type; a second one is a conflict."""
    asked = _object(request)
    if wrong := _wrong(kind, asked):
        return bad_request(wrong)
    if (account.code, kind) in state.denied:
        return _denied()
    destination = state.destinations.get(str(asked.get("destinationId")))
    if destination is None or destination.region != account.region:
        return bad_request("There is no such destinationId.")
    with state.lock:
        if (account.code, kind) in state.subscriptions:
            return error(409, "Conflict", f"There is a subscription to {kind} already.")
        made = Subscription(
            ref=str(uuid.uuid4()), version=asked["payloadVersion"], destination=destination, since=state.clock(),
            directive=asked.get("processingDirective"),
        )  # fmt: skip
        state.subscriptions[account.code, kind] = made
    return json_response({"payload": _subscription(made)})


def delete_subscription(state: State, region: str, request: Request, kind: str, ref: str) -> Response:
    """deleteSubscriptionById: any of the application's."""
    with state.lock:
        for key, one in list(state.subscriptions.items()):
            if key[1] == kind and one.ref == ref and one.destination.region == region:
                del state.subscriptions[key]
                return json_response({})
    return error(404, "NotFound", "There is no such subscription.")


def _wrong(kind: str, asked: dict[str, Any]) -> str:
    """What is wrong with a request to subscribe; empty when nothing is."""
    if kind not in VERSIONS:
        return f"{kind} is no type of notification."
    if asked.get("payloadVersion") not in VERSIONS[kind]:
        return f"payloadVersion of {kind} is one of {', '.join(VERSIONS[kind])}."
    if "processingDirective" not in asked:
        return ""
    given = _inside(asked, "processingDirective", "eventFilter")
    if kind not in _FILTERED or not isinstance(given, dict) or given.get("eventFilterType") != kind:
        return f"processingDirective does not fit {kind}."
    changes = given.get("orderChangeTypes", [])
    if not isinstance(changes, list) or set(changes) - set(_ORDER_CHANGES):
        return f"orderChangeTypes are {', '.join(_ORDER_CHANGES)}."
    return ""


def _denied() -> Response:
    denied = "Access to requested resource is denied."
    return error(403, "Unauthorized", denied, "The application lacks the role for this type of notification.")


def _destination(one: Destination) -> dict[str, Any]:
    return {"destinationId": one.ref, "name": one.name, "resource": {"sqs": {"arn": one.arn}}}


def _subscription(one: Subscription) -> dict[str, Any]:
    found = {"subscriptionId": one.ref, "payloadVersion": one.version, "destinationId": one.destination.ref}
    return found | ({"processingDirective": one.directive} if one.directive else {})


def _object(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(request.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _inside(found: Any, *names: str) -> Any:
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found
