"""Amazon's notifications: its own published samples are read, and what is no notification is refused by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from marketplaces.connectors.amazon import amazon, notifications
from marketplaces.errors import Malformed
from marketplaces.events import Arrived, Effect

FOLDER = os.environ.get("API_SPECS_DIR", "")
FILES = sorted((Path(FOLDER) / "amazon/schemas/notifications").glob("*.json")) if FOLDER else []


def samples() -> list[tuple[str, dict]]:
    found = []
    for file in FILES:
        for number, sample in enumerate(json.loads(file.read_text()).get("examples", [])):
            found.append((f"{file.stem}-{number}", sample))
    return found


def arrived(value: object) -> Arrived:
    return Arrived(body=json.dumps(value).encode())


@pytest.mark.parametrize("sample", [x for _, x in samples()], ids=[name for name, _ in samples()])
def test_amazons_own_samples_are_read(sample: dict):
    metadata = (
        sample.get("NotificationMetadata") or sample.get("notificationMetadata") or sample["NotificationMetadata"]
    )
    kind = sample.get("NotificationType") or sample.get("notificationType")
    (hint,) = notifications.read(arrived(sample))
    assert (hint.kind, hint.event_id) == (kind, metadata.get("NotificationId") or metadata.get("notificationId"))
    wanted = {"ORDER_CHANGE": Effect.FETCH, "REPORT_PROCESSING_FINISHED": Effect.REPORT}
    assert hint.effect == wanted.get(kind, Effect.NOTHING)


ORDER = {
    "NotificationType": "ORDER_CHANGE", "EventTime": "2026-11-01T10:00:05.5Z",
    "Payload": {"OrderChangeNotification": {
        "SellerId": "A2", "AmazonOrderId": "303-1",
        "OrderChangeTrigger": {"TimeOfOrderChange": "2026-11-01T10:00:00Z"}}},
    "NotificationMetadata": {"NotificationId": "n-1"},
}  # fmt: skip


def test_an_order_change_names_the_order_the_time_of_the_change_and_the_seller():
    (hint,) = notifications.read(arrived(ORDER))
    assert (hint.flow, hint.ref, hint.event_id) == ("orders", "303-1", "n-1")
    assert hint.occurred_at is not None
    assert hint.occurred_at.isoformat() == "2026-11-01T10:00:00+00:00"
    assert notifications.seller(arrived(ORDER)) == "A2"
    assert amazon.events is not None
    assert "ORDER_CHANGE" in amazon.events.queues


BROKEN = {
    "no JSON": b"<xml/>",
    "a list": b"[]",
    "no type": json.dumps({**ORDER, "NotificationType": None}).encode(),
    "no id": json.dumps({**ORDER, "NotificationMetadata": {}}).encode(),
    "no order": json.dumps({**ORDER, "Payload": {"OrderChangeNotification": {"SellerId": "A2"}}}).encode(),
    "a payload of another shape": json.dumps({**ORDER, "Payload": "x"}).encode(),
    "a time without a zone": json.dumps(ORDER).replace("10:00:00Z", "10:00:00").encode(),
}  # fmt: skip


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_what_is_no_notification_is_refused(body: bytes):
    with pytest.raises(Malformed):
        notifications.read(Arrived(body=body))
