"""The sandbox's queue as today's client library sees it, and the notifications it carries as Amazon describes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from marketplaces.sandbox.server import Sandbox, start
from marketplaces.tests.sandbox.conftest import NOW, amazon_of, call
from marketplaces.tests.sandbox.test_notifications_wire import app_of, destination
from marketplaces.tests.sandbox.test_wire_contract import descriptions as descriptions

KEY = {"aws_access_key_id": "sandbox-queue-key", "aws_secret_access_key": "sandbox-queue-secret"}


@pytest.fixture(scope="module")
def quiet() -> Iterator[Sandbox]:
    """A sandbox of this module's own: its queues remember."""
    with start(seed=3, orders=60, days=20, skus=20, now=NOW, faults="none") as running:
        yield running


def client(sandbox: Sandbox, **other: str) -> Any:
    once = Config(retries={"total_max_attempts": 1})
    known = {"region_name": "eu-west-1", "endpoint_url": f"{sandbox.url}/sqs", "config": once, **KEY, **other}
    return boto3.session.Session().client("sqs", **known)


def subscribe(sandbox: Sandbox, code: str) -> None:
    """Ask for every change of the account's orders."""
    app = app_of(sandbox, region={"us": "na"}.get(code, code))
    body = {"payloadVersion": "1.0", "destinationId": destination(app)}
    ask = amazon_of(sandbox, f"Atzr|sandbox-{code}")
    assert ask("/notifications/v1/subscriptions/ORDER_CHANGE", method="POST", body=body).status == 200


def test_what_is_received_is_hidden_then_comes_again_until_it_is_deleted(quiet: Sandbox):
    sqs = client(quiet)
    url = sqs.create_queue(QueueName="mine", Attributes={"VisibilityTimeout": "120"})["QueueUrl"]
    assert sqs.get_queue_url(QueueName="mine")["QueueUrl"] == url
    sqs.send_message(QueueUrl=url, MessageBody="one")
    (first,) = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"]
    assert (first["Body"], first["Attributes"]["ApproximateReceiveCount"]) == ("one", "1")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert again["MessageId"] == first["MessageId"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])  # twice is fine
    said = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (said["ApproximateNumberOfMessages"], said["ApproximateNumberOfMessagesNotVisible"]) == ("0", "0")


def test_a_wait_ends_with_the_first_message(quiet: Sandbox):
    sqs = client(quiet)
    url = sqs.create_queue(QueueName="slow")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=1)
    assert sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"][0]["Body"] == "late"


def test_copies_that_did_not_hear_of_a_deletion_come_again(quiet: Sandbox):
    sqs = client(quiet)
    url = sqs.create_queue(QueueName="twice")["QueueUrl"]
    call(
        f"{quiet.url}/__sandbox/events", "POST", body=b'{"queue": {"name": "twice", "duplicate": 1.0, "shuffle": true}}'
    )
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(5)])
    bodies = []
    for _ in range(2):
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
        bodies.append([message["Body"] for message in found])
        entries = [{"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"]} for m in found]
        assert len(sqs.delete_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 5
    assert bodies[0] != bodies[1]
    assert sorted(bodies[0]) == sorted(bodies[1]) == list("01234")


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"aws_access_key_id": "x"}, "InvalidClientTokenId"),
    ],
)
def test_only_who_holds_the_keys_gets_in(quiet: Sandbox, other: dict[str, str], code: str):
    with pytest.raises(ClientError) as refused:
        client(quiet, **other).get_queue_url(QueueName="domventas")
    assert refused.value.response["Error"]["Code"] == code


def test_a_queue_that_is_not_there_is_told_in_the_clients_own_words(quiet: Sandbox):
    sqs = client(quiet)
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_url(QueueName="nowhere")
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.delete_message(QueueUrl=f"{quiet.url}/sqs/000000000000/domventas", ReceiptHandle="x")


def test_each_change_of_an_order_is_told_when_the_clock_reaches_it(quiet: Sandbox, descriptions: Path):
    sqs, url = client(quiet), f"{quiet.url}/sqs/000000000000/domventas"
    subscribe(quiet, "eu")
    subscribe(quiet, "us")
    until = NOW + timedelta(hours=30)
    orders = [o for code in ("amazon-eu", "amazon-us") for o in quiet.state.world.orders[code]]
    expected = sorted((o.ref, at) for o in orders for at in o.changes if NOW < at <= until)
    quiet.set_clock(until)
    schema = json.loads((descriptions / "amazon/schemas/notifications/OrderChangeNotification.json").read_text())
    told = []
    while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in found:
            body = json.loads(message["Body"])
            jsonschema.Draft7Validator(schema).validate(body)
            change = body["Payload"]["OrderChangeNotification"]
            told.append((change["AmazonOrderId"], change["OrderChangeTrigger"]["TimeOfOrderChange"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert len(told) > 5
    assert sorted(told) == [(ref, f"{at:%Y-%m-%dT%H:%M:%SZ}") for ref, at in expected]


def test_control_refuses_what_it_does_not_understand(quiet: Sandbox):
    for body in (
        b"",
        b"[]",
        b'{"queue": {"name": "nobody"}}',
        b'{"webhook": {"url": "http://example.com/", "refs": []}}',
    ):
        assert call(f"{quiet.url}/__sandbox/events", "POST", body=body).status == 400
    assert "domventas-dead" in call(f"{quiet.url}/__sandbox/events").data["queues"]
