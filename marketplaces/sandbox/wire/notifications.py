"""Amazon's notifications, to whom has subscribed: changes of orders as the clock reaches them, finished reports."""

from __future__ import annotations

import json
import threading
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from ..world.model import Order
from ..world.places import ACCOUNTS, SITES, Account
from .amazon_notifications import Subscription
from .amazon_order_view import fulfillment_status
from .amazon_reports import finished_reports
from .http import iso
from .sqs_queue import Queue
from .state import State

#: The queue that is there from the beginning, and where we put what nobody wants.
QUEUE, DEAD = "domventas", "domventas-dead"
_STATUS = {
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "PARTIALLY_SHIPPED": "PartiallyShipped",
    "SHIPPED": "Shipped",
    "CANCELLED": "Canceled",
}
_SPACE = uuid.UUID("6f5b1f6e-7a3e-4a0e-9f0f-3d1c2b4a5e6f")


class Publisher:
    """Sends what is due: called ahead of every request to the queues, so no thread of its own is needed."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.lock = threading.Lock()
        self.until = state.clock()
        self.reports: set[str] = set()
        self.changes: dict[str, list[tuple[datetime, str]]] = {}
        for name in (QUEUE, DEAD):
            state.queues.setdefault(name, Queue(name=name))

    def publish(self) -> int:
        """Send everything that happened since the last time; returns how many messages."""
        now, count = self.state.clock(), 0
        with self.lock:
            for account in _amazon():
                wanted = self._wanted(account, "ORDER_CHANGE")
                if wanted is None:
                    continue
                for moment, ref in self._between(account, max(self.until, wanted.since), now):
                    self.send(order_change(self.state, account, ref, moment), wanted)
                    count += 1
            self.until = max(now, self.until)
            for asked in finished_reports(self.state):
                if asked.ref in self.reports:
                    continue
                self.reports.add(asked.ref)
                account = ACCOUNTS[asked.account]
                if (wanted := self._wanted(account, "REPORT_PROCESSING_FINISHED")) is not None:
                    self.send(report_finished(self.state, account, asked.ref, asked.kind), wanted)
                    count += 1
        return count

    def again(self, account: Account, refs: Iterable[str]) -> list[dict[str, Any]]:
        """The notifications of all changes of these orders up to now, as they were or would have been sent."""
        now = self.state.clock()
        found = []
        for ref in refs:
            order = self.state.order(account.code, ref)
            moments = [moment for moment in order.changes if moment <= now] if order else []
            found += [order_change(self.state, account, ref, moment) for moment in moments]
        return found

    def send(self, notification: dict[str, Any], wanted: Subscription | None = None) -> None:
        """Put one on the queue subscribed for, or on the one there is from the beginning."""
        if wanted is not None:
            named = "NotificationMetadata" if "NotificationMetadata" in notification else "notificationMetadata"
            key = "SubscriptionId" if named[0] == "N" else "subscriptionId"
            notification[named][key] = wanted.ref
        queue = self.state.queues.get(wanted.destination.queue if wanted else QUEUE)
        if queue is not None:
            queue.send(json.dumps(notification))

    def _wanted(self, account: Account, kind: str) -> Subscription | None:
        found: Subscription | None = self.state.subscriptions.get((account.code, kind))
        return found

    def _between(self, account: Account, since: datetime, until: datetime) -> Iterator[tuple[datetime, str]]:
        if account.code not in self.changes:
            orders = self.state.world.orders[account.code]
            self.changes[account.code] = sorted((at, order.ref) for order in orders for at in order.changes)
        changes = self.changes[account.code]
        end = (chr(0x10FFFF),)
        yield from changes[bisect_right(changes, (since, *end)) : bisect_right(changes, (until, *end))]


def order_change(state: State, account: Account, ref: str, moment: datetime) -> dict[str, Any]:
    """ORDER_CHANGE of one order at one moment; the same change has the same id whenever it is told.

    Raises KeyError for an order the clock does not know yet.
    """
    order = state.order(account.code, ref)
    if order is None:
        raise KeyError(ref)
    summary = _summary(order, moment)
    change = {
        "NotificationLevel": "OrderLevel",
        "SellerId": account.external_id,
        "AmazonOrderId": ref,
        "OrderChangeType": "OrderStatusChange",
        "OrderChangeTrigger": {"TimeOfOrderChange": iso(moment), "ChangeReason": "Order status changed"},
        "Summary": summary,
    }
    return {
        "NotificationVersion": "1.0",
        "NotificationType": "ORDER_CHANGE",
        "PayloadVersion": "1.0",
        "EventTime": iso(moment),
        "Payload": {"OrderChangeNotification": change},
        "NotificationMetadata": {
            "ApplicationId": "amzn1.sellerapps.app.sandbox",
            "SubscriptionId": f"subscription-{account.code}",
            "PublishTime": iso(moment),
            "NotificationId": str(uuid.uuid5(_SPACE, f"{account.code} {ref} {iso(moment)}")),
        },
    }


def report_finished(state: State, account: Account, ref: str, kind: str) -> dict[str, Any]:
    """REPORT_PROCESSING_FINISHED, in its own spelling."""
    moment = iso(state.clock())
    told = {
        "sellerId": account.external_id,
        "accountId": f"amzn1.merchant.o.{account.external_id}",
        "reportId": ref,
        "reportType": kind,
        "processingStatus": "DONE",
        "reportDocumentId": f"amzn1.spdoc.1.4.listings.{ref}",
    }
    return {
        "notificationVersion": "2020-09-04",
        "notificationType": "REPORT_PROCESSING_FINISHED",
        "payloadVersion": "2020-09-04",
        "eventTime": moment,
        "payload": {"reportProcessingFinishedNotification": told},
        "notificationMetadata": {
            "applicationId": "amzn1.sellerapps.app.sandbox",
            "subscriptionId": f"subscription-{account.code}",
            "publishTime": moment,
            "notificationId": str(uuid.uuid5(_SPACE, f"{account.code} report {ref}")),
        },
    }


def _amazon() -> list[Account]:
    return [account for account in ACCOUNTS.values() if account.marketplace == "amazon"]


def _summary(order: Order, moment: datetime) -> dict[str, Any]:
    site = SITES[order.site]
    items: list[dict[str, Any]] = []
    for line in order.lines:
        is_shipped = line.shipped_at is not None and line.shipped_at <= moment
        items.append(
            {
                "OrderItemId": line.ref,
                "SellerSKU": line.product.sku,
                "SupplySourceId": None,
                "OrderItemStatus": "Shipped" if is_shipped else "Unshipped",
                "Quantity": line.quantity,
                "QuantityShipped": line.quantity if is_shipped else 0,
            }
        )
    return {
        "MarketplaceId": site.external_id,
        "OrderStatus": _STATUS[fulfillment_status(order, moment)],
        "PurchaseDate": iso(order.created_at),
        "DestinationPostalCode": order.buyer.postal_code,
        "FulfillmentType": "AFN" if order.fulfilled_by == "AMAZON" else "MFN",
        "OrderType": "StandardOrder",
        "NumberOfItemsShipped": sum(item["QuantityShipped"] for item in items),
        "NumberOfItemsUnshipped": sum(item["Quantity"] - item["QuantityShipped"] for item in items),
        "OrderItems": items,
    }
