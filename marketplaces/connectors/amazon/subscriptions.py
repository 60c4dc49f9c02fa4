"""Asking Amazon for notifications: our queue made known as a destination, one subscription for each type."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlsplit

from marketplaces.connectors.amazon.client import AmazonSession
from marketplaces.connectors.amazon.notifications import QUEUES
from marketplaces.errors import BorderError, Forbidden, Malformed, Refused, Unavailable
from marketplaces.events import Asking, Subscribed
from marketplaces.protocols.reading import Row, body_of, maybe_text, part, rows, text

#: Destinations, and taking a subscription away, need no seller.
SCOPE: Final = "sellingpartnerapi::notifications"
_BASE: Final = "/notifications/v1"
#: The payload's version of each type, as our reader knows it.
_VERSIONS: Final = {"ORDER_CHANGE": "1.0", "REPORT_PROCESSING_FINISHED": "2020-09-04"}
#: Only changes that alter what we keep. Amazon answers 400 to a directive that does not name its own type.
_DIRECTIVES: Final[dict[str, Row]] = {
    "ORDER_CHANGE": {
        "eventFilter": {
            "eventFilterType": "ORDER_CHANGE",
            "orderChangeTypes": ["OrderStatusChange", "BuyerRequestedChange"],
        }
    }
}
#: What a queue's address means that names no region.
_REGION: Final = "eu-west-1"


def arn_of(queue_url: str) -> str:
    """The queue's name at Amazon: `https://sqs.<region>.amazonaws.com/<number>/<name>` → `arn:aws:sqs:…`.

    Raises: Malformed: the address names no queue.
    """
    parts = urlsplit(queue_url)
    host, path = (parts.hostname or "").split("."), [one for one in parts.path.split("/") if one]
    if len(path) < 2:
        raise Malformed("This is no address of an SQS queue.")
    is_amazons = host[0] == "sqs" and len(host) > 3
    return f"arn:aws:sqs:{host[1] if is_amazons else _REGION}:{path[-2]}:{path[-1]}"


def target(session: AmazonSession, queue_url: str) -> str:
    """The destination's id of our queue; it is made where there is none. A lost answer is looked up, never repeated."""
    arn = arn_of(queue_url)
    if found := _destination(session, arn):
        return found
    # Its name has to be unique within the application, and tells nobody anything.
    name = f"domventas-{hashlib.sha256(arn.encode()).hexdigest()[:12]}"
    asked = {"name": name, "resourceSpecification": {"sqs": {"arn": arn}}}
    try:
        answer = session.call("POST", f"{_BASE}/destinations", operation="destinations.create", json=asked, scope=SCOPE)
    except (Refused, Unavailable, Malformed) as error:
        if isinstance(error, Refused) and error.status != 409:
            raise
        return _after(error, _destination(session, arn))
    return text(part(body_of(answer), "payload"), "destinationId")


def find(session: AmazonSession, topic: str) -> Subscribed | None:
    """The seller's subscription to a type, in the version we read; None when there is none."""
    params = {"payloadVersion": _VERSIONS[topic]}
    try:
        answer = session.call("GET", _path(topic), operation="subscriptions.get", params=params)
    except Forbidden as error:
        raise _without_right(error, topic) from None
    except Refused as error:
        if error.status == 404:
            return None
        raise
    payload = body_of(answer).get("payload")
    return _subscribed(payload) if isinstance(payload, dict) and payload else None


def create(session: AmazonSession, topic: str, destination: str) -> Subscribed:
    """Subscribe to a type."""
    asked: dict[str, Any] = {"payloadVersion": _VERSIONS[topic], "destinationId": destination}
    if topic in _DIRECTIVES:
        asked["processingDirective"] = _DIRECTIVES[topic]
    try:
        answer = session.call("POST", _path(topic), operation="subscriptions.create", json=asked)
    except Forbidden as error:
        raise _without_right(error, topic) from None
    return _subscribed(part(body_of(answer), "payload"))


def remove(session: AmazonSession, topic: str, ref: str) -> None:
    """Take a subscription away; the application may do so without the seller."""
    path = f"{_path(topic)}/{quote(ref, safe='')}"
    try:
        session.call("DELETE", path, operation="subscriptions.delete", scope=SCOPE)
    except Refused as error:
        if error.status != 404:
            raise


def _destination(session: AmazonSession, arn: str) -> str:
    answer = session.call("GET", f"{_BASE}/destinations", operation="destinations.list", scope=SCOPE)
    for row in rows(body_of(answer).get("payload") or [], "payload"):
        resource = row.get("resource")
        queue = resource.get("sqs") if isinstance(resource, dict) else None
        if isinstance(queue, dict) and maybe_text(queue, "arn") == arn:
            return text(row, "destinationId")
    return ""


def _without_right(error: Forbidden, topic: str) -> Forbidden:
    """The application's roles are too few for this type alone."""
    words = f"The application lacks a role that {topic} needs: add it in Develop Apps, then authorize it anew."
    return replace(error, message=words)


def _after(error: BorderError, found: str) -> str:
    if not found:
        raise error
    return found


def _path(topic: str) -> str:
    return f"{_BASE}/subscriptions/{quote(topic, safe='')}"


def _subscribed(row: Row) -> Subscribed:
    return Subscribed(ref=text(row, "subscriptionId"), target=text(row, "destinationId"))


ASKING = Asking(topics=QUEUES, inlet="sqs", target=target, find=find, create=create, remove=remove)
