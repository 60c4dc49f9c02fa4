"""Destinations and subscriptions as Amazon describes them, asked and answered; nothing else is ever told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest

from marketplaces.sandbox.server import Sandbox, start
from marketplaces.sandbox.wire.amazon_base import NOTIFICATIONS
from marketplaces.tests.sandbox.conftest import NOW, Call, Reply, amazon_of, call
from marketplaces.tests.sandbox.test_wire_contract import descriptions as descriptions

DESTINATIONS = "/notifications/v1/destinations"
SUBSCRIPTION = "/notifications/v1/subscriptions/{notificationType}"
ARN = "arn:aws:sqs:eu-west-1:000000000000:domventas"
ORDERS = {"payloadVersion": "1.0", "processingDirective": {"eventFilter": {
    "eventFilterType": "ORDER_CHANGE", "orderChangeTypes": ["OrderStatusChange"]}}}  # fmt: skip


@pytest.fixture
def open_sandbox() -> Iterator[Sandbox]:
    with start(seed=3, orders=60, days=20, skus=20, now=NOW, faults="none", speed=1e6) as running:
        yield running


def app_of(sandbox: Sandbox, scope: str = NOTIFICATIONS, region: str = "eu") -> Call:
    """A caller in the application's own name."""
    form = {
        "grant_type": "client_credentials", "scope": scope, "client_id": "sandbox-client",
        "client_secret": "sandbox-secret",
    }  # fmt: skip
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    signed = call(f"{sandbox.url}/amazon/auth/o2/token", "POST", headers=headers, body=urlencode(form).encode())

    def ask(path: str, method: str = "GET", body: Any = None) -> Reply:
        sent = json.dumps(body).encode() if body is not None else None
        known = {"x-amz-access-token": signed.data.get("access_token", ""), "Content-Type": "application/json"}
        return call(f"{sandbox.url}/amazon/{region}{path}", method, headers=known, body=sent)

    return ask


def destination(app: Call) -> str:
    asked = {"name": "ours", "resourceSpecification": {"sqs": {"arn": ARN}}}
    return app(DESTINATIONS, "POST", asked).data["payload"]["destinationId"]


def of(kind: str, ref: str = "") -> str:
    return SUBSCRIPTION.format(notificationType=kind) + (f"/{ref}" if ref else "")


def check(descriptions: Path, path: str, verb: str, reply: Reply, status: int, asked: Any = None) -> None:
    """What was asked and what was answered hold against Amazon's description."""
    model = json.loads((descriptions / "amazon/models/notifications.json").read_text())
    assert reply.status == status, reply.body
    operation = model["paths"][path][verb]
    jsonschema.Draft4Validator(
        {**operation["responses"][str(status)]["schema"], "definitions": model["definitions"]}
    ).validate(reply.data)
    if asked is not None:
        (body,) = [x["schema"] for x in operation["parameters"] if x.get("in") == "body"]
        jsonschema.Draft4Validator({**body, "definitions": model["definitions"]}).validate(asked)


def test_every_answer_holds_against_amazons_description(open_sandbox: Sandbox, descriptions: Path) -> None:
    app, eu = app_of(open_sandbox), amazon_of(open_sandbox)
    asked = {"name": "ours", "resourceSpecification": {"sqs": {"arn": ARN}}}
    check(descriptions, DESTINATIONS, "get", app(DESTINATIONS), 200)
    made = app(DESTINATIONS, "POST", asked)
    check(descriptions, DESTINATIONS, "post", made, 200, asked)
    check(descriptions, DESTINATIONS, "get", app(DESTINATIONS), 200)
    check(descriptions, DESTINATIONS, "post", app(DESTINATIONS, "POST", asked), 409)
    check(descriptions, DESTINATIONS, "post", app(DESTINATIONS, "POST", {"name": "x"}), 400)
    check(descriptions, DESTINATIONS, "get", eu(DESTINATIONS), 403)

    wanted = {**ORDERS, "destinationId": made.data["payload"]["destinationId"]}
    check(descriptions, SUBSCRIPTION, "get", eu(of("ORDER_CHANGE")), 404)
    new = eu(of("ORDER_CHANGE"), method="POST", body=wanted)
    check(descriptions, SUBSCRIPTION, "post", new, 200, wanted)
    check(descriptions, SUBSCRIPTION, "post", eu(of("ORDER_CHANGE"), method="POST", body=wanted), 409)
    check(descriptions, SUBSCRIPTION, "get", eu(of("ORDER_CHANGE"), {"payloadVersion": "1.0"}), 200)
    check(descriptions, SUBSCRIPTION, "get", eu(of("NO_SUCH_TYPE")), 400)

    by_id = SUBSCRIPTION + "/{subscriptionId}"
    ref = new.data["payload"]["subscriptionId"]
    check(descriptions, by_id, "delete", app(of("ORDER_CHANGE", "nobodys"), "DELETE"), 404)
    check(descriptions, by_id, "delete", app(of("ORDER_CHANGE", ref), "DELETE"), 200)
    open_sandbox.state.denied.add(("amazon-eu", "ORDER_CHANGE"))
    check(descriptions, SUBSCRIPTION, "post", eu(of("ORDER_CHANGE"), method="POST", body=wanted), 403)


@pytest.mark.parametrize(
    "wrong",
    [
        {"payloadVersion": "2020-09-04"},
        {"destinationId": "nobodys"},
        {"processingDirective": {"eventFilter": {"eventFilterType": "ANY_OFFER_CHANGED"}}},
        {"processingDirective": {"eventFilter": {"eventFilterType": "ORDER_CHANGE", "orderChangeTypes": ["All"]}}},
    ],
    ids=["version", "destination", "a filter of another type", "a change nobody knows"],
)
def test_a_request_that_does_not_fit_its_type_is_refused(open_sandbox: Sandbox, wrong: dict[str, Any]) -> None:
    eu, ref = amazon_of(open_sandbox), destination(app_of(open_sandbox))
    assert eu(of("ORDER_CHANGE"), method="POST", body={**ORDERS, "destinationId": ref, **wrong}).status == 400
    assert not open_sandbox.state.subscriptions


def test_an_application_gets_only_the_scope_there_is(open_sandbox: Sandbox) -> None:
    assert app_of(open_sandbox, "sellingpartnerapi::everything")(DESTINATIONS).status == 403


def test_only_what_was_subscribed_to_is_told_and_only_from_then_on(open_sandbox: Sandbox) -> None:
    queue, orders = open_sandbox.state.queues["domventas"], open_sandbox.state.world.orders["amazon-eu"]
    first, second = NOW + timedelta(hours=15), NOW + timedelta(hours=30)

    def told() -> int:
        call(f"{open_sandbox.url}/__sandbox/events")
        return sum(queue.counts())

    open_sandbox.set_clock(first)
    assert told() == 0
    eu, ref = amazon_of(open_sandbox), destination(app_of(open_sandbox))
    assert eu(of("ORDER_CHANGE"), method="POST", body={**ORDERS, "destinationId": ref}).status == 200
    open_sandbox.set_clock(second)
    due = sum(first < at <= second for order in orders for at in order.changes)
    assert told() == due > 0
    body = json.loads(next(iter(queue.messages.values())).body)
    (subscribed,) = open_sandbox.state.subscriptions.values()
    assert body["NotificationMetadata"]["SubscriptionId"] == subscribed.ref
    assert body["Payload"]["OrderChangeNotification"]["SellerId"] == "A2DOMVENTASEU"


def test_control_takes_a_subscription_and_the_right_to_it_away(open_sandbox: Sandbox) -> None:
    eu, ref = amazon_of(open_sandbox), destination(app_of(open_sandbox))
    about = {"account": "amazon-eu", "kind": "ORDER_CHANGE"}

    def control(action: str) -> Reply:
        body = json.dumps({"subscription": {**about, "action": action}}).encode()
        return call(f"{open_sandbox.url}/__sandbox/events", "POST", body=body)

    eu(of("ORDER_CHANGE"), method="POST", body={**ORDERS, "destinationId": ref})
    (seen,) = call(f"{open_sandbox.url}/__sandbox/events").data["subscriptions"]
    assert (seen["account"], seen["kind"], seen["queue"]) == ("amazon-eu", "ORDER_CHANGE", "domventas")
    assert control("remove").data == {"removed": True}
    assert control("deny").data == {"denied": True}
    assert eu(of("ORDER_CHANGE")).status == 403
    assert control("allow").data == {"denied": False}
    assert eu(of("ORDER_CHANGE")).status == 404
    assert control("forget").status == 400
