"""Events from an SQS queue: received in batches, told apart by seller, written down, and only then deleted there.

A queue delivers at least once and in any order; what is known already is not written again. A message nobody here is
the seller of goes to the queue `<name>-dead` beside it, and is counted.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from domventas.core import tenancy
from domventas.core.errors import Refused
from domventas.core.models import Route
from marketplaces.errors import Malformed
from marketplaces.events import Arrived, Events
from marketplaces.models import Account, Inlet
from marketplaces.services import inbox
from marketplaces.services.door import connector_of
from marketplaces.services.inlets import route_key

log = logging.getLogger(__name__)

#: The shortest wait with which a queue asks all of its servers, not only some, and says for sure that it is empty [s].
SHORTEST_WAIT: Final = 1
#: No answer of a queue takes longer; a worker that waits for one does nothing else [s].
PATIENCE: Final = 10
#: What one request brings at most.
BATCH: Final = 10
#: A message we received and did not delete comes again after so long [s].
VISIBILITY: Final = 60
#: What an address that names none means.
_REGION: Final = "eu-west-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue and what opens it."""

    url: str
    key_id: str
    secret: str = field(repr=False)

    @property
    def endpoint(self) -> str:
        """The server, without the queue's own account and name."""
        return self.url.rsplit("/", 2)[0]

    @property
    def region(self) -> str:
        """As the host names it, `sqs.<region>.amazonaws.com`."""
        parts = (urlsplit(self.url).hostname or "").split(".")
        return parts[1] if parts[0] == "sqs" and len(parts) > 3 else _REGION


@dataclass(slots=True, kw_only=True)
class Received:
    """What a reading of a queue brought, in messages.

    Attributes:
        fresh: events written down; known ones came again.
        dead: nobody here is their seller, or they cannot be read at all.
        is_busy: somebody else reads this queue just now.
    """

    messages: int = 0
    fresh: int = 0
    dead: int = 0
    is_busy: bool = False

    def __add__(self, other: Received) -> Received:
        return Received(
            messages=self.messages + other.messages, fresh=self.fresh + other.fresh, dead=self.dead + other.dead,
            is_busy=self.is_busy or other.is_busy,
        )  # fmt: skip

    def in_words(self) -> dict[str, int]:
        """For the run's progress."""
        return {one.name: int(getattr(self, one.name)) for one in fields(self)}


def receive(account: Account, *, now: datetime, wait: int = 0) -> Received:
    """Take one batch from the account's queue; events of other accounts and clients that share it are theirs.

    Args:
        wait: wait so long for a message when there is none [s].

    Raises: Refused: the account has no queue. botocore's errors: the queue cannot be reached or refuses the keys.
    """
    events = connector_of(account).events
    inlet = Inlet.objects.filter(account=account, kind=Inlet.Kind.QUEUE, closed_at=None).order_by("pk").first()
    if events is None or inlet is None:
        raise Refused("This account has no queue.")
    queue = queue_of(inlet)
    with _alone(queue) as is_alone:
        if not is_alone:
            return Received(is_busy=True)
        client = _client(queue)
        answer = client.receive_message(
            QueueUrl=queue.url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait, VisibilityTimeout=VISIBILITY
        )
        return _take(client, queue, events, answer.get("Messages", []), now=now)


def queue_of(inlet: Inlet) -> Queue:
    """The client's own queue with its keys, or the platform's."""
    if inlet.queue_url:
        return Queue(url=inlet.queue_url, key_id=inlet.secrets["key_id"], secret=inlet.secrets["secret"])
    ours = settings.EVENT_QUEUE
    return Queue(url=ours["url"], key_id=ours["key_id"], secret=ours["secret"])


def _take(client: Any, queue: Queue, events: Events, messages: Sequence[dict[str, Any]], *, now: datetime) -> Received:
    """Write down, then delete: whoever dies between the two gets the message again and knows it."""
    result = Received(messages=len(messages))
    by_seller: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for message in messages:
        by_seller[_seller(events, message)].append(message)
    keys = {route_key(queue.url, seller): seller for seller in by_seller if seller}
    routes = Route.objects.filter(kind=Route.Kind.SQS, key__in=keys, client__active=True)
    for route in routes:
        mine = by_seller.pop(keys[route.key])
        with tenancy.acting_for(route.client_id, actor="queue"):
            result.fresh += _accept(route, events, mine, now=now)
        _delete(client, queue, mine)
    for nobodys in by_seller.values():
        result.dead += len(nobodys)
        _bury(client, queue, nobodys)
    return result


def _accept(route: Route, events: Events, messages: Sequence[dict[str, Any]], *, now: datetime) -> int:
    account = Account.objects.get(pk=route.account)
    arrived = [_arrived(message) for message in messages]
    return inbox.accept(account, Inlet.Kind.QUEUE, [(one, inbox.hints_of(events, one)) for one in arrived], now=now)


def _seller(events: Events, message: dict[str, Any]) -> str:
    try:
        return events.seller(_arrived(message)) if events.seller else ""
    except Malformed:
        return ""


def _arrived(message: dict[str, Any]) -> Arrived:
    return Arrived(body=str(message["Body"]).encode())


def _delete(client: Any, queue: Queue, messages: Sequence[dict[str, Any]]) -> None:
    entries = [{"Id": str(n), "ReceiptHandle": message["ReceiptHandle"]} for n, message in enumerate(messages)]
    client.delete_message_batch(QueueUrl=queue.url, Entries=entries)


def _bury(client: Any, queue: Queue, messages: Sequence[dict[str, Any]]) -> None:
    """To the dead queue; where there is none they stay, until the queue's own policy takes them away."""
    log.warning("%s: %d messages for sellers nobody here is", queue.url.rpartition("/")[2], len(messages))
    entries = [{"Id": str(n), "MessageBody": message["Body"]} for n, message in enumerate(messages)]
    try:
        sent = client.send_message_batch(QueueUrl=f"{queue.url}-dead", Entries=entries)
    except client.exceptions.QueueDoesNotExist:
        return
    moved = {entry["Id"] for entry in sent.get("Successful", [])}
    gone = [message for n, message in enumerate(messages) if str(n) in moved]
    if gone:
        _delete(client, queue, gone)


@lru_cache(maxsize=16)
def _client(queue: Queue) -> Any:
    """A client by queue and keys; making one costs a quarter of a second, and threads may share it."""
    import boto3
    from botocore.config import Config

    patience = Config(connect_timeout=3, read_timeout=PATIENCE, retries={"total_max_attempts": 2})
    return boto3.session.Session().client(
        "sqs", region_name=queue.region, endpoint_url=queue.endpoint, aws_access_key_id=queue.key_id,
        aws_secret_access_key=queue.secret, config=patience,
    )  # fmt: skip


@contextmanager
def _alone(queue: Queue) -> Iterator[bool]:
    """One reader per queue, whoever's account it is: more would only wait beside each other."""
    key = f"queue:{queue.url}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
        is_alone = bool(cursor.fetchone()[0])
    try:
        yield is_alone
    finally:
        if is_alone and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
