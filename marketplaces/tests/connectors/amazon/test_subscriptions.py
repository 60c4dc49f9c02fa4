"""Asking Amazon for notifications: over HTTP to the sandbox, and against the answers Amazon itself publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_httpserver import HTTPServer

from marketplaces.connectors.amazon import amazon, notifications, subscriptions
from marketplaces.connectors.amazon.client import AmazonSession
from marketplaces.errors import Malformed, Refused, Unauthorized, Unavailable
from marketplaces.events import Subscribed
from marketplaces.sandbox.faults.plan import named
from marketplaces.sandbox.server import Sandbox, start
from marketplaces.tests.connectors.amazon.cases import all_cases, folder
from marketplaces.tests.connectors.doors import NOW, SECRETS, door

BASE = "/amazon/eu/notifications/v1"
TOPIC = "ORDER_CHANGE"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(seed=4, orders=20, days=10, skus=10, now=NOW, faults="none", speed=1e6) as running:
        yield running


@pytest.fixture
def session(sandbox: Sandbox) -> AmazonSession:
    return amazon.open(door(amazon, sandbox.url, limits={}))


def queue(sandbox: Sandbox) -> str:
    return f"{sandbox.url}/sqs/000000000000/domventas"


def lose(sandbox: Sandbox, *, most: int = 1) -> None:
    """Every answer is lost once after the work was done."""
    sandbox.injector.use(named({"kinds": ["lost_answer"], "rate": 1.0, "most": most}))


@pytest.mark.parametrize(
    ("url", "arn"),
    [
        ("https://sqs.us-east-2.amazonaws.com/444455556666/queue1", "arn:aws:sqs:us-east-2:444455556666:queue1"),
        ("http://127.0.0.1:8790/sqs/000000000000/domventas", "arn:aws:sqs:eu-west-1:000000000000:domventas"),
    ],
)
def test_a_queues_address_becomes_its_name_at_amazon(url: str, arn: str) -> None:
    assert subscriptions.arn_of(url) == arn
    with pytest.raises(Malformed, match="no address"):
        subscriptions.arn_of("https://sqs.eu-west-1.amazonaws.com/")


def test_a_destination_is_made_once_and_a_subscription_found_after_it(sandbox: Sandbox, session: AmazonSession) -> None:
    assert subscriptions.find(session, TOPIC) is None
    target = subscriptions.target(session, queue(sandbox))
    assert subscriptions.target(session, queue(sandbox)) == target
    assert len(sandbox.state.destinations) == 1
    made = subscriptions.create(session, TOPIC, target)
    assert subscriptions.find(session, TOPIC) == made == Subscribed(ref=made.ref, target=target)
    with pytest.raises(Refused) as twice:
        subscriptions.create(session, TOPIC, target)
    assert twice.value.status == 409
    subscriptions.remove(session, TOPIC, made.ref)
    subscriptions.remove(session, TOPIC, made.ref)
    assert subscriptions.find(session, TOPIC) is None


def test_every_topic_we_act_on_can_be_asked_for(sandbox: Sandbox, session: AmazonSession) -> None:
    target = subscriptions.target(session, queue(sandbox))
    for topic in notifications.QUEUES:
        subscriptions.create(session, topic, target)
    assert {kind for _, kind in sandbox.state.subscriptions} == set(notifications.QUEUES)
    (asked,) = [one.directive for (_, kind), one in sandbox.state.subscriptions.items() if kind == TOPIC]
    assert asked == subscriptions._DIRECTIVES[TOPIC]


def test_the_applications_token_is_another_than_the_sellers(sandbox: Sandbox, session: AmazonSession) -> None:
    subscriptions.target(session, queue(sandbox))
    subscriptions.find(session, TOPIC)
    sent = {call.operation: call.headers["x-amz-access-token"] for call in session.door.http.calls if call.headers}
    assert sent["destinations.create"] in sandbox.state.app_tokens
    assert sent["subscriptions.get"] in sandbox.state.tokens


def test_a_lost_answer_to_a_new_destination_is_looked_up(sandbox: Sandbox, session: AmazonSession) -> None:
    subscriptions.find(session, TOPIC)  # signed in already
    url = queue(sandbox)
    session.call("GET", "/notifications/v1/destinations", operation="destinations.list", scope=subscriptions.SCOPE)
    with pytest.MonkeyPatch.context() as patch:
        seen: list[str] = []
        inner = session.door.http.request

        def request(method: str, address: str, *, operation: str, **more: object) -> object:
            if operation == "destinations.create":
                seen.append(operation)
                lose(sandbox)
                try:
                    return inner(method, address, operation=operation, **more)
                finally:
                    sandbox.injector.use(named("calm"))
            return inner(method, address, operation=operation, **more)

        patch.setattr(session.door.http, "request", request)
        target = subscriptions.target(session, url)
    assert (seen, list(sandbox.state.destinations)) == (["destinations.create"], [target])


def test_a_queue_that_is_not_there_and_a_missing_right_are_told_apart(sandbox: Sandbox, session: AmazonSession) -> None:
    with pytest.raises(Refused) as nowhere:
        subscriptions.target(session, f"{sandbox.url}/sqs/000000000000/elsewhere")
    assert nowhere.value.status == 400
    sandbox.state.denied.add(("amazon-eu", TOPIC))
    with pytest.raises(Unauthorized):
        subscriptions.find(session, TOPIC)


def test_an_application_without_the_scope_is_told_so_in_words(httpserver: HTTPServer) -> None:
    refused = {"error": "invalid_scope", "error_description": "The requested scope is invalid"}
    httpserver.expect_request("/amazon/auth/o2/token").respond_with_json(refused, status=400)
    session = amazon.open(door(amazon, httpserver.url_for(""), limits={}))
    with pytest.raises(Unauthorized, match="lacks the right") as caught:
        subscriptions.target(session, "http://127.0.0.1:1/sqs/000000000000/domventas")
    assert SECRETS["amazon"]["client_secret"] not in f"{caught.value!r} {caught.value.excerpt}"


def test_an_outage_is_no_answer_about_the_destination(httpserver: HTTPServer) -> None:
    token = {"access_token": "Atc|test", "token_type": "bearer", "expires_in": 3600}
    httpserver.expect_request("/amazon/auth/o2/token").respond_with_json(token)
    httpserver.expect_request(f"{BASE}/destinations", method="GET").respond_with_json({"payload": []})
    httpserver.expect_request(f"{BASE}/destinations", method="POST").respond_with_data("", status=503)
    session = amazon.open(door(amazon, httpserver.url_for(""), limits={}))
    with pytest.raises(Unavailable):
        subscriptions.target(session, "http://127.0.0.1:1/sqs/000000000000/domventas")


@pytest.mark.skipif(folder() is None, reason="API_SPECS_DIR names no folder of API descriptions")
def test_amazons_own_answers_are_read(httpserver: HTTPServer) -> None:
    token = {"access_token": "Atza|test", "token_type": "bearer", "expires_in": 3600}
    httpserver.expect_request("/amazon/auth/o2/token").respond_with_json(token)
    session = amazon.open(door(amazon, httpserver.url_for(""), limits={}))
    known = {(x.verb, x.path): x for x in all_cases() if x.file == "notifications.json"}
    wanted = ("/notifications/v1/subscriptions/{notificationType}", "/notifications/v1/destinations")
    for (verb, path), case in known.items():
        if path in wanted:
            filled = replace(case, parameters={"notificationType": {"value": TOPIC}})
            request = httpserver.expect_request(f"/amazon/eu{filled.address}", method=verb.upper())
            request.respond_with_data(json.dumps(case.answer), content_type="application/json")
    expected = Subscribed(ref="TEST_CASE_200_SUBSCRIPTION_ID", target="TEST_CASE_200_DESTINATION_ID")
    assert subscriptions.find(session, TOPIC) == expected
    assert subscriptions.create(session, TOPIC, "any") == expected
    told = "https://sqs.us-east-2.amazonaws.com/444455556666/queue1"
    assert subscriptions.target(session, told) == "TEST_CASE_200"
    assert subscriptions.target(session, told.replace("queue1", "queue2")) == "TEST_CASE_200_DESTINATION_ID"
