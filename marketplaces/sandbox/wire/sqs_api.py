"""The queues' own interface: SQS's JSON protocol, as today's client libraries speak it (`x-amz-json-1.0`)."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from . import aws_signature
from .http import Request, Response, Route, route
from .sqs_queue import Message, Queue
from .state import State

OWNER = "000000000000"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_OLD_CODES = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}
_TOO_LONG = 1_048_576

Answer = Callable[["_Api", dict[str, Any]], dict[str, Any]]


class Fault(Exception):
    """An error in the service's own words."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


def sqs_routes(state: State, before: Callable[[], object]) -> list[Route]:
    """One address for all operations; `before` is called ahead of each, so that what is due can be published."""
    api = _Api(state)

    def serve(request: Request) -> Response:
        before()
        try:
            if wrong := aws_signature.problem(request):
                raise Fault(*wrong, status=403)
            operation = request.headers.get("x-amz-target", "").removeprefix("AmazonSQS.")
            answer = OPERATIONS.get(operation)
            if answer is None:
                raise Fault("UnknownOperationException", f"{operation or 'Nothing'} is no operation.")
            try:
                asked = json.loads(request.body or b"{}")
            except ValueError:
                raise Fault("SerializationException", "The body is no JSON.") from None
            return _json(answer(api, asked), 200)
        except Fault as fault:
            body = {"__type": f"com.amazonaws.sqs#{fault.code}", "message": fault.message}
            old = f"{_OLD_CODES.get(fault.code, fault.code)};Sender"
            return _json(body, fault.status).with_headers(x_amzn_query_error=old)

    return [route("POST", path, serve) for path in ("/sqs", "/sqs/")]


def _json(value: dict[str, Any], status: int) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(status=status, headers=headers, body=json.dumps(value).encode())


class _Api:
    def __init__(self, state: State) -> None:
        self.state = state

    def url(self, name: str) -> str:
        return f"{self.state.base_url}/sqs/{OWNER}/{name}"

    def queue(self, asked: dict[str, Any]) -> Queue:
        name = str(asked.get("QueueUrl", "")).rpartition("/")[2]
        return self.named(name)

    def named(self, name: str) -> Queue:
        found = self.state.queues.get(name)
        if found is None:
            raise Fault("QueueDoesNotExist", "The specified queue does not exist.")
        return found

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, attributes = str(asked.get("QueueName", "")), asked.get("Attributes") or {}
        if not _NAME.fullmatch(name):
            raise Fault("InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores.")
        queue = self.state.queues.setdefault(name, Queue(name=name))
        queue.visibility = int(attributes.get("VisibilityTimeout", queue.visibility))
        return {"QueueUrl": self.url(name)}

    def find(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {"QueueUrl": self.url(self.named(str(asked.get("QueueName", ""))).name)}

    def attributes(self, asked: dict[str, Any]) -> dict[str, Any]:
        queue = self.queue(asked)
        visible, in_flight = queue.counts()
        known = {
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "VisibilityTimeout": str(queue.visibility),
            "QueueArn": f"arn:aws:sqs:eu-west-1:{OWNER}:{queue.name}",
        }
        names = asked.get("AttributeNames") or []
        return {"Attributes": {k: v for k, v in known.items() if "All" in names or k in names}}

    def send(self, asked: dict[str, Any]) -> dict[str, Any]:
        return _sent(self.queue(asked).send(_body(asked), delay=float(asked.get("DelaySeconds", 0))))

    def send_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        queue = self.queue(asked)
        return {
            "Successful": [{"Id": entry["Id"], **_sent(queue.send(_body(entry)))} for entry in _entries(asked)],
            "Failed": [],
        }

    def receive(self, asked: dict[str, Any]) -> dict[str, Any]:
        count, wait = int(asked.get("MaxNumberOfMessages", 1)), int(asked.get("WaitTimeSeconds", 0))
        if not 1 <= count <= 10 or not 0 <= wait <= 20:
            raise Fault("InvalidParameterValue", "MaxNumberOfMessages is 1 to 10, WaitTimeSeconds 0 to 20.")
        found = self.queue(asked).receive(count, visibility=asked.get("VisibilityTimeout"), wait=wait)
        return {"Messages": [_received(message, asked) for message in found]} if found else {}

    def delete(self, asked: dict[str, Any]) -> dict[str, Any]:
        if not self.queue(asked).delete(str(asked.get("ReceiptHandle", ""))):
            raise Fault("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
        return {}

    def delete_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._each(asked, lambda queue, entry: queue.delete(str(entry.get("ReceiptHandle", ""))))

    def hide(self, asked: dict[str, Any]) -> dict[str, Any]:
        seconds = int(asked.get("VisibilityTimeout", -1))
        if not 0 <= seconds <= 43_200:
            raise Fault("InvalidParameterValue", "VisibilityTimeout is 0 to 43200.")
        if not self.queue(asked).hide(str(asked.get("ReceiptHandle", "")), seconds):
            raise Fault("MessageNotInflight", "The specified message isn't in flight.")
        return {}

    def _each(self, asked: dict[str, Any], act: Callable[[Queue, dict[str, Any]], bool]) -> dict[str, Any]:
        queue, good, bad = self.queue(asked), [], []
        for entry in _entries(asked):
            if act(queue, entry):
                good.append({"Id": entry["Id"]})
            else:
                wrong = {"Code": "ReceiptHandleIsInvalid", "SenderFault": True, "Message": "The handle is invalid."}
                bad.append({"Id": entry["Id"], **wrong})
        return {"Successful": good, "Failed": bad}


def _entries(asked: dict[str, Any]) -> list[dict[str, Any]]:
    entries = asked.get("Entries") or []
    if not entries:
        raise Fault("EmptyBatchRequest", "There should be at least one entry in the batch.")
    if len(entries) > 10:
        raise Fault("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise Fault("BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.")
    return list(entries)


def _body(asked: dict[str, Any]) -> str:
    body = str(asked.get("MessageBody", ""))
    if not body:
        raise Fault("MissingParameter", "The request must contain the parameter MessageBody.")
    if len(body.encode()) > _TOO_LONG:
        raise Fault("InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter.")
    return body


def _sent(message: Message) -> dict[str, Any]:
    return {"MessageId": message.message_id, "MD5OfMessageBody": message.md5}


def _received(message: Message, asked: dict[str, Any]) -> dict[str, Any]:
    view = {
        "MessageId": message.message_id,
        "ReceiptHandle": message.handle,
        "MD5OfBody": message.md5,
        "Body": message.body,
    }
    names = asked.get("MessageSystemAttributeNames") or asked.get("AttributeNames") or []
    if "All" in names or "ApproximateReceiveCount" in names:
        view["Attributes"] = {"ApproximateReceiveCount": str(message.receives)}  # type: ignore[assignment]  # as sent
    return view


OPERATIONS: dict[str, Answer] = {
    "CreateQueue": _Api.create,
    "GetQueueUrl": _Api.find,
    "GetQueueAttributes": _Api.attributes,
    "SendMessage": _Api.send,
    "SendMessageBatch": _Api.send_batch,
    "ReceiveMessage": _Api.receive,
    "DeleteMessage": _Api.delete,
    "DeleteMessageBatch": _Api.delete_batch,
    "ChangeMessageVisibility": _Api.hide,
}
